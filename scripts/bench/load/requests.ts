import { setTimeout as delay } from 'node:timers/promises'
import { Connection } from './connection.ts'
import { manifestType } from './image.ts'
import { expectStatus } from './push.ts'

export interface RequestLoad {
  origin: string
  /** Path of what is asked for again and again. */
  target: string
  connections: number
  /** How long, unless it is stopped before. */
  seconds: number
  /**
   * Requests a second and connection. Latency counts from the moment a request was due, so a server that stalls is not
   * spared the requests it kept from being sent. Without it each connection asks again as soon as it was answered.
   */
  rate?: number
  /** Sent with each request: `Authorization`. */
  headers?: Record<string, string>
}

export interface RequestResult {
  requests: number
  seconds: number
  /** ms. */
  p50: number
  p99: number
  max: number
}

/** GETs over keep-alive connections until the time is over or `stop` says so. */
export async function loadRequests(load: RequestLoad, stop?: AbortSignal): Promise<RequestResult> {
  const open = await Promise.all(Array.from({ length: load.connections }, () => Connection.open(load.origin)))
  const headers = { Accept: manifestType, ...load.headers }
  const latencies: number[] = []
  const start = performance.now()
  const over = (): boolean => stop?.aborted === true || performance.now() - start >= load.seconds * 1000
  try {
    await Promise.all(
      open.map(async (connection, index) => {
        const interval = load.rate === undefined ? 0 : 1000 / load.rate
        let due = start + (interval * index) / load.connections
        while (!over()) {
          const wait = due - performance.now()
          if (interval > 0 && wait > 0) await delay(wait)
          const from = interval > 0 ? due : performance.now()
          expectStatus(await connection.request('GET', load.target, { headers }), 200)
          latencies.push(performance.now() - from)
          due += interval
        }
      })
    )
  } finally {
    for (const connection of open) connection.close()
  }
  return { requests: latencies.length, seconds: (performance.now() - start) / 1000, ...percentiles(latencies) }
}

function percentiles(latencies: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = Float64Array.from(latencies).sort()
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 }
}
