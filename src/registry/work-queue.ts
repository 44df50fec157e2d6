import type { AbortOptions } from './ports.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** Something to be done behind requests: a pin, a replication, a webhook. */
export interface NewWork {
  /** Which worker does it. Neither kind nor key may contain NUL. */
  kind: string
  /** One item a key: enqueuing the same again replaces it, also while the old one is being done. */
  key: string
  payload: Json
  /** Not before, ms since epoch. Default now. */
  due?: number
}

/** `failed` is for good: only {@link WorkQueue.retry} or a replacement gets it going again. */
export type WorkState = 'waiting' | 'running' | 'failed'

export interface WorkItem {
  kind: string
  key: string
  payload: Json
  state: WorkState
  /** ms since epoch: when it is due (waiting), when it was begun (running), when it failed (failed). */
  due: number
  /** Begun so often since it was enqueued, this time included; what a graceful stop broke off does not count. */
  attempts: number
  /** ms since epoch. */
  enqueuedAt: number
  /** Why the last attempt failed. */
  error?: string
}

/**
 * Does one item; resolves when it is done. At least once: after a crash or a stop it is done again, so it must be idempotent.
 * Any rejection is tried again later, unless a {@link WorkFailure} says otherwise. The signal is aborted when the item is
 * dropped, takes too long, or the queue stops.
 */
export type Worker = (item: WorkItem, options: Required<AbortOptions>) => Promise<void>

export interface WorkFailureInit {
  /** Trying again will not help (refused, forbidden, over quota). Default false. */
  permanent?: boolean
  /** `Retry-After` as the other side sent it (RFC 9110: seconds or a date), or ms. */
  retryAfter?: string | number
  cause?: unknown
}

/** What a worker throws to say more than "it did not work". */
export class WorkFailure extends Error {
  override readonly name = 'WorkFailure'
  readonly permanent: boolean
  readonly retryAfter: string | number | undefined

  constructor(message: string, init: WorkFailureInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.permanent = init.permanent ?? false
    this.retryAfter = init.retryAfter
  }
}

export interface WorkerInit {
  /** Items of the kind done at once. Default 1. */
  concurrency?: number
  /** Attempts after which an item has failed for good. Default: no limit. */
  maxAttempts?: number
  /** ms an attempt may take. Default: no limit. */
  timeoutMs?: number
  /** ms before the second attempt; doubled for each further one. Default 1 s. */
  backoffMs?: number
  /** ms between two attempts at most. Default 1 h. */
  maxBackoffMs?: number
}

/** Work that outlives the process: what is enqueued will be done, once somebody has registered for its kind. */
export interface WorkQueue {
  /** All or none, and durable when it resolves. @throws {RegistryError} STORAGE_FULL */
  enqueue(work: readonly NewWork[], options?: AbortOptions): Promise<void>
  /** Makes a failed or waiting item due now, as if it had never been tried. `false` when there is none. */
  retry(kind: string, key: string): Promise<boolean>
  /** Forgets an item, durably, and stops its worker. `false` when there is none. */
  drop(kind: string, key: string): Promise<boolean>
  get(kind: string, key: string): Promise<WorkItem | undefined>
  /** By kind, then by {@link WorkItem.due}. Lazy; an item that changes its state meanwhile may be missed or met twice. */
  list(state: WorkState, kind?: string, options?: AbortOptions): AsyncIterable<WorkItem>
  /** From now on items of the kind are done as they come due. One worker a kind. */
  register(kind: string, worker: Worker, init?: WorkerInit): void
}
