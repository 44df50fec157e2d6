import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Pinnace, startPinnace } from '../../../test/interop/node.ts'
import { shardOf, type Target, type TargetInit } from './target.ts'

export interface PinnaceTarget extends Target {
  pid: number
  node: Pinnace
  /** The program it runs. */
  main: string
}

const ownMain = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))

/** A node of this checkout, or of another one, as `serve` runs it, at log level error like the others. */
export async function startOurs(init: TargetInit, before?: string): Promise<PinnaceTarget> {
  const { folder, tls, signal } = init
  const main = before === undefined ? ownMain : join(resolve(before), 'src', 'main.ts')
  const node = await startPinnace({
    main,
    config: {
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      ...(tls && { http: { tls: { certificate: tls.certificate, key: tls.key } } })
    },
    dataDir: join(folder, 'data'),
    signal
  })
  const fileOf = (_repository: string, digest: string): string => join(folder, 'data', 'blobs', shardOf(digest))
  const name = before === undefined ? 'pinnace' : 'before'
  return { name, origin: node.url, pid: node.pid, node, main, fileOf, close: () => node.close() }
}
