import { type WorkerInit, WorkFailure } from '../registry/ports.ts'
import { backoff, retryAfter } from './backoff.ts'
import type { WorkRecord } from './records.ts'

/** Characters of an error kept with an item. */
const errorLength = 500

/** How an attempt ended. `stopped`: the queue broke it off, which is no failure. */
export type Outcome = 'done' | 'stopped' | { error: unknown }

/** The record of an item whose attempt begins. */
export function begun(record: WorkRecord, lease: string, now: number): WorkRecord {
  return { ...record, state: 'running', due: now, attempts: record.attempts + 1, lease }
}

/** The record after an attempt; `undefined` when the item is done. */
export function ended(
  record: WorkRecord,
  outcome: Outcome,
  init: WorkerInit,
  now: number,
  random: number
): WorkRecord | undefined {
  if (outcome === 'done') return undefined
  const { lease: _lease, interrupted: _interrupted, error: _error, ...rest } = record
  if (outcome === 'stopped') return { ...rest, state: 'waiting', due: now, attempts: record.attempts - 1 }
  const { error } = outcome
  const failed = { ...rest, error: describe(error) }
  const permanent = error instanceof WorkFailure && error.permanent
  if (permanent || record.attempts >= (init.maxAttempts ?? Number.POSITIVE_INFINITY))
    return { ...failed, state: 'failed', due: now }
  const delay = retryAfter(error, now, random) ?? backoff(record.attempts, init, random)
  return { ...failed, state: 'waiting', due: now + delay }
}

/**
 * The record of an item that was being done when the process died. It is due at once, but what dies with its process every
 * time, perhaps by killing it, comes back later and later.
 */
export function interrupted(record: WorkRecord, now: number, random: number): WorkRecord {
  const { lease: _lease, ...rest } = record
  const times = (record.interrupted ?? 0) + 1
  const due = times === 1 ? now : now + backoff(times - 1, {}, random)
  return { ...rest, state: 'waiting', due, interrupted: times }
}

function describe(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, errorLength)
}
