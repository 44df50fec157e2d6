import { Presets, SingleBar } from 'cli-progress'

/** Says on standard error how far the run is: a bar on a terminal, a line a row elsewhere. */
export interface Progress {
  /** A new row of so many steps. */
  begin(row: string, steps: number): void
  step(text: string): void
  stop(): void
}

export function startProgress(err: NodeJS.WriteStream): Progress {
  return err.isTTY ? drawn(err) : printed(err)
}

function drawn(err: NodeJS.WriteStream): Progress {
  let bar: SingleBar | undefined
  const stop = (): void => {
    bar?.stop()
    bar = undefined
  }
  return {
    begin(row, steps) {
      stop()
      const format = `${row} {bar} {value}/{total} {text}`
      bar = new SingleBar({ stream: err, clearOnComplete: true, hideCursor: true, format }, Presets.shades_classic)
      // The step under way is not done yet.
      bar.start(steps, -1, { text: '' })
    },
    step: text => bar?.increment({ text }),
    stop
  }
}

function printed(err: NodeJS.WriteStream): Progress {
  let last = 0
  return {
    begin: (row, steps) => void err.write(`${row} (${steps} measurements)\n`),
    step(text) {
      if (Date.now() - last < 10_000) return
      last = Date.now()
      err.write(`  ${text}\n`)
    },
    stop() {}
  }
}
