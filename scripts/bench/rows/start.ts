import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { Connection } from '../load/connection.ts'
import { type Bench, type Row, runRow } from '../measure.ts'
import type { Stock } from '../prepare.ts'
import { freePort } from '../targets/answers.ts'
import type { PinnaceTarget } from '../targets/pinnace.ts'
import type { Target } from '../targets/target.ts'

/** 100,000 blobs, 20,000 tags. */
const full: Stock = { repositories: 200, tags: 100, blobs: 5 }

/**
 * From the start of the process to the first 200 of `/readyz`: on an empty folder, and on a full one. Nodes only:
 * distribution and olareg keep no index that would have to be opened.
 */
export async function startRows(bench: Bench, nodes: readonly PinnaceTarget[]): Promise<Row[]> {
  const { folder, progress, signal } = bench
  const own = (kind: string, { name }: Target) => join(folder, `${kind}-${name}`)
  for (const node of nodes) {
    const stocked = own('stocked', node)
    await mkdir(stocked, { mode: 0o700 })
    progress.begin(`start: preparing 100,000 blobs and 20,000 tags, ${node.name}`, full.repositories)
    let done = 0
    // Each by its own code: an older version cannot open the metadata of a newer one.
    const { prepareFolder }: typeof import('../prepare.ts') = await import(
      new URL('../scripts/bench/prepare.ts', pathToFileURL(node.main)).href
    )
    await prepareFolder(stocked, full, () => progress.step(`repository ${++done}`), signal)
  }
  const programs = new Map(nodes.map(({ name, main }) => [name, main]))
  const starting = (name: string, kind: string) =>
    runRow(
      { ...bench, targets: nodes },
      {
        name,
        unit: 's',
        better: 'less',
        measure: (target, _round, bounded) => startOnce(programs.get(target.name) ?? '', own(kind, target), bounded)
      }
    )
  return [
    await starting('start on an empty folder to /readyz', 'empty'),
    await starting('start with 100 k blobs, 20 k tags to /readyz', 'stocked')
  ]
}

async function startOnce(main: string, data: string, signal: AbortSignal): Promise<number> {
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
