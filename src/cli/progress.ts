import { Presets, SingleBar } from 'cli-progress'
import type { Output } from './terminal.ts'

/** How long a command may stay silent, ms. */
const patience = 1_000
/** Between two lines where there is no terminal to draw on, ms. */
const lineInterval = 10_000
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

/** Shows that long work advances: one line redrawn on a terminal, a line now and then elsewhere. Always on `err`. */
export interface Progress {
  /** What has been done so far; shown when it is time to. */
  update(text: string): void
  /** Makes room for a line of results; what is drawn next comes below it. */
  clear(): void
  /** Clears the line for good. Idempotent. */
  stop(): void
}

/** @param title what is being done, e.g. `Scrubbing` */
export function startProgress(err: Output, title: string): Progress {
  return err.isTTY ? redrawn(err, title) : printed(err, title)
}

function redrawn(err: Output, title: string): Progress {
  let text = ''
  let tick = 0
  const bar = new SingleBar(
    {
      stream: err,
      clearOnComplete: true,
      hideCursor: true,
      // The registry counts what it has done and does not know beforehand how much there is: no percentage to show.
      format: () => `${frames[tick++ % frames.length]} ${said(title, text)}`.slice(0, (err.columns ?? 80) - 1)
    },
    Presets.shades_classic
  )
  const timer = setTimeout(() => bar.start(1, 0), patience)
  return {
    update(next) {
      text = next
    },
    clear() {
      if (bar.isActive) err.write('\r\u001b[K')
    },
    stop() {
      clearTimeout(timer)
      if (bar.isActive) bar.stop()
    }
  }
}

function printed(err: Output, title: string): Progress {
  let text = ''
  const say = () => err.write(`${said(title, text)}\n`)
  let interval: NodeJS.Timeout | undefined
  const timer = setTimeout(() => {
    say()
    interval = setInterval(say, lineInterval)
  }, patience)
  return {
    update(next) {
      text = next
    },
    clear() {},
    stop() {
      clearTimeout(timer)
      clearInterval(interval)
    }
  }
}

function said(title: string, text: string): string {
  return text === '' ? `${title} …` : `${title}: ${text}`
}
