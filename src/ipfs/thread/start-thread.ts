import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { CID } from 'multiformats/cid'
import type { Ipfs, IpfsComponents, IpfsInit } from '../ipfs.ts'
import { answer } from './answer.ts'
import type { FromThread, PeerState, Question, ToThread } from './messages.ts'
import { receivedError, sentError } from './sent-error.ts'

/** ms the thread has to close its connections. */
const stopGrace = 10_000
/** ms before a thread that died is started again: doubled from the first to the last. */
const firstRestart = 1_000
const lastRestart = 60_000

/**
 * Blocks are not on the heap; V8's default of 48 MiB for the young rest cost 26 MB idle and 45 MB at work, and gained
 * nothing. Its default for the old one, gigabytes, let 20 peers that ask without end grow the process to 770 MB where
 * this is 520.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 256 }

const entry = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/**
 * Starts Helia in a thread of its own.
 *
 * @throws {IpfsSettingError}
 */
export async function startThread(components: IpfsComponents, init: IpfsInit): Promise<Ipfs> {
  const ipfs = new ThreadedIpfs(components, init)
  await ipfs.start()
  return ipfs
}

class ThreadedIpfs implements Ipfs {
  readonly #components: IpfsComponents
  readonly #init: IpfsInit
  #worker: Worker | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #state: PeerState = { multiaddrs: [], peers: [] }
  #peerId = ''
  readonly #stopping = new AbortController()
  #restartIn = firstRestart

  constructor(components: IpfsComponents, init: IpfsInit) {
    this.#components = components
    this.#init = init
  }

  get peerId(): string {
    return this.#peerId
  }

  multiaddrs(): string[] {
    return [...this.#state.multiaddrs]
  }

  peers(): string[] {
    return [...this.#state.peers]
  }

  announce(root: CID): void {
    this.#post({ type: 'announce', cid: root.bytes })
  }

  async start(): Promise<void> {
    const started = Promise.withResolvers<void>()
    // Options of the main thread, such as --input-type, may not suit the worker's file.
    const worker = new Worker(entry, { workerData: this.#init, name: 'pinnace-ipfs', execArgv: [], resourceLimits })
    this.#worker = worker
    this.#exited = new Promise(resolve => worker.once('exit', resolve))
    let ready = false
    worker.on('message', (message: FromThread) => {
      if (message.type === 'ready') {
        ready = true
        this.#peerId = message.peerId
        this.#state = message.state
        started.resolve()
      } else if (message.type === 'failed') {
        started.reject(receivedError(message.error))
      } else {
        this.#receive(message)
      }
    })
    worker.once('error', error => {
      if (ready) this.#components.log.error({ err: error }, 'the IPFS thread crashed')
      started.reject(error)
    })
    worker.once('exit', code => {
      started.reject(new Error(`the IPFS thread ended with code ${code}`))
      if (ready) void this.#restart()
    })
    await started.promise
    this.#restartIn = firstRestart
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#post({ type: 'stop' })
    const timer = setTimeout(() => void this.#worker?.terminate(), stopGrace)
    await this.#exited
    clearTimeout(timer)
  }

  /** The registry goes on without its IPFS side, which comes back as soon as it can. */
  async #restart(): Promise<void> {
    this.#state = { multiaddrs: [], peers: [] }
    while (!this.#stopping.signal.aborted) {
      const wait = this.#restartIn
      this.#restartIn = Math.min(wait * 2, lastRestart)
      await delay(wait, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => {})
      if (this.#stopping.signal.aborted) return
      try {
        return await this.start()
      } catch (error) {
        this.#components.log.error({ err: error, retryInMs: this.#restartIn }, 'the IPFS thread does not start')
      }
    }
  }

  #post(message: ToThread): void {
    this.#worker?.postMessage(message)
  }

  #receive(message: Exclude<FromThread, { type: 'ready' | 'failed' }>): void {
    const { log, onCorrupt } = this.#components
    if (message.type === 'state') this.#state = message.state
    if (message.type === 'log') log[message.level](message.fields, message.message)
    if (message.type === 'corrupt') onCorrupt(message.corrupt)
    if (message.type === 'ask') void this.#answer(message.id, message.question)
  }

  async #answer(id: number, question: Question): Promise<void> {
    try {
      this.#post({ type: 'answer', id, value: await answer(this.#components.source, question) })
    } catch (error) {
      this.#post({ type: 'error', id, error: sentError(error) })
    }
  }
}
