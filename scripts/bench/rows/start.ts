import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Connection } from '../load/connection.ts'
import { type Bench, type Row, runRow } from '../measure.ts'
import { prepareFolder, type Stock } from '../prepare.ts'
import { freePort } from '../targets/answers.ts'
import type { Target } from '../targets/target.ts'

/** 100,000 blobs, 20,000 tags. */
const full: Stock = { repositories: 200, tags: 100, blobs: 5 }
const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))

/** From the start of the process to the first 200 of `/readyz`: on an empty folder, and on a full one. */
export async function startRows(bench: Bench): Promise<Row[]> {
  const { folder, progress, signal } = bench
  const stocked = join(folder, 'stocked')
  await mkdir(stocked, { recursive: true, mode: 0o700 })
  progress.begin('start: preparing 100,000 blobs and 20,000 tags', full.repositories)
  let done = 0
  await prepareFolder(stocked, full, () => progress.step(`repository ${++done}`), signal)
  const empty = join(folder, 'empty')
  // Nobody else is asked: distribution and olareg keep no index that would have to be opened.
  const ours: Target = { name: 'pinnace', origin: '', close: async () => {} }
  const alone = { ...bench, targets: [ours] }
  const starting = (name: string, data: string) =>
    runRow(alone, { name, unit: 's', better: 'less', measure: (_target, _round, bounded) => startOnce(data, bounded) })
  return [
    await starting('start on an empty folder to /readyz', empty),
    await starting('start with 100 k blobs, 20 k tags to /readyz', stocked)
  ]
}

async function startOnce(data: string, signal: AbortSignal): Promise<number> {
  const addr = `127.0.0.1:${await freePort()}`
  const file = `${data}.yml`
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: data } },
    http: { addr },
    ipfs: { listen: ['/ip4/127.0.0.1/tcp/0'] }
  }
  await writeFile(file, JSON.stringify(config))
  const start = performance.now()
  const child = spawn(process.execPath, [main, 'serve', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    await becomesReady(child, `http://${addr}`, signal)
    return (performance.now() - start) / 1000
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 30_000)
      await gone
      clearTimeout(late)
    }
  }
}

async function becomesReady(child: ChildProcess, origin: string, signal: AbortSignal): Promise<void> {
  while (child.exitCode === null) {
    signal.throwIfAborted()
    if (await isReady(origin).catch(() => false)) return
    await delay(5)
  }
  throw new Error(`ended with ${child.exitCode} before it was ready`)
}

async function isReady(origin: string): Promise<boolean> {
  const connection = await Connection.open(origin)
  try {
    return (await connection.request('GET', '/readyz')).status === 200
  } finally {
    connection.close()
  }
}
