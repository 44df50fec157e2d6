import type { Pull } from './pull.ts'
import type { PushForm } from './push.ts'
import type { RequestLoad, RequestResult } from './requests.ts'

/** What the load process can be asked to do; crosses the process boundary as JSON. */
export type Job =
  | {
      type: 'push'
      origin: string
      repository: string
      blobs: readonly { seed: string; size: number }[]
      form: PushForm
      connections: number
    }
  | ({ type: 'pull' } & Pull)
  | { type: 'image'; origin: string; repository: string; tag: string }
  | ({ type: 'requests' } & RequestLoad)

export interface TransferResult {
  seconds: number
  digests: string[]
}

export interface Reply {
  id: number
  result?: TransferResult | RequestResult | undefined
  error?: string
  /** Processor time of the generator in cores while the job ran, its preparation included: at 1 it is the limit. */
  busy?: number
}
