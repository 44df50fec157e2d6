import { join } from 'node:path'
import { type Pinnace, startPinnace } from '../../../test/interop/node.ts'
import { shardOf, type Target, type TargetInit } from './target.ts'

export interface PinnaceTarget extends Target {
  pid: number
  node: Pinnace
}

/** This repository's own node, as `serve` runs it, at log level error like the others. */
export async function startOurs(init: TargetInit): Promise<PinnaceTarget> {
  const { folder, tls, signal } = init
  const node = await startPinnace({
    config: {
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      ...(tls && { http: { tls: { certificate: tls.certificate, key: tls.key } } })
    },
    dataDir: join(folder, 'data'),
    signal
  })
  const fileOf = (_repository: string, digest: string): string => join(folder, 'data', 'blobs', shardOf(digest))
  return { name: 'pinnace', origin: node.url, pid: node.pid, node, fileOf, close: () => node.close() }
}
