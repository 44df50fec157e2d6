import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { toolFolders } from '../../../test/interop/find.ts'
import { manifestType } from './image.ts'
import type { RequestLoad, RequestResult } from './requests.ts'

/** Path of wrk, a load generator in C that takes a fraction of the processor that Node's takes; nothing without it. */
export function findWrk(): string | undefined {
  return toolFolders()
    .map(folder => join(folder, 'wrk'))
    .find(path => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** One thread of wrk. */
export async function runWrk(path: string, load: RequestLoad, signal: AbortSignal): Promise<RequestResult> {
  const args = ['-t', '1', '-c', String(load.connections), '-d', `${load.seconds}s`, '--latency']
  const headers = Object.entries({ Accept: manifestType, ...load.headers })
  const given = headers.flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const child = spawn(path, [...args, ...given, `${load.origin}${load.target}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`wrk ended with ${code}: ${output}`)
  return parseWrk(output)
}

const units: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

/** @throws {Error} for output without figures, or with responses that were no 2xx or 3xx */
export function parseWrk(output: string): RequestResult {
  const failed = /(?:Non-2xx or 3xx responses|Socket errors): .*/.exec(output)?.[0]
  if (failed !== undefined) throw new Error(`wrk: ${failed}`)
  const total = /(\d+) requests in ([\d.]+)(us|ms|s|m),/.exec(output)
  const time = (pattern: RegExp): number => {
    const [, value, unit] = pattern.exec(output) ?? []
    const scale = units[unit ?? '']
    if (value === undefined || scale === undefined) throw new Error(`wrk printed no ${pattern.source}:\n${output}`)
    return Number(value) * scale
  }
  if (total?.[1] === undefined) throw new Error(`wrk printed no requests:\n${output}`)
  return {
    requests: Number(total[1]),
    seconds: time(/requests in ([\d.]+)(us|ms|s|m)/) / 1000,
    p50: time(/50%\s+([\d.]+)(us|ms|s|m)/),
    p99: time(/99%\s+([\d.]+)(us|ms|s|m)/),
    max: time(/Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)/)
  }
}
