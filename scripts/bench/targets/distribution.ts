import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startDaemon } from '../../../test/interop/daemon.ts'
import { answers, freePort } from './answers.ts'
import { shardOf, type Target, type TargetInit } from './target.ts'

/** distribution: version 3 as `registry`, 2.8 as Debian's `docker-registry`, with the cache its example configurations have. */
export async function startDistribution(
  name: string,
  program: 'registry' | 'docker-registry',
  { folder, tls, signal }: TargetInit
): Promise<Target> {
  const addr = `127.0.0.1:${await freePort()}`
  const origin = `${tls ? 'https' : 'http'}://${addr}`
  const file = join(folder, 'config.yml')
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: {
      cache: { blobdescriptor: 'inmemory' },
      filesystem: { rootdirectory: join(folder, 'data') },
      delete: { enabled: true }
    },
    http: { addr, ...(tls && { tls: { certificate: tls.certificate, key: tls.key } }) }
  }
  await mkdir(folder, { recursive: true })
  await writeFile(file, JSON.stringify(config))
  const daemon = await startDaemon(program, ['serve', file], {
    ready: () => answers(origin),
    env: { OTEL_TRACES_EXPORTER: 'none' },
    signal
  })
  const blobs = join(folder, 'data', 'docker', 'registry', 'v2', 'blobs')
  const fileOf = (_repository: string, digest: string): string => join(blobs, shardOf(digest), 'data')
  return { name, origin, pid: daemon.pid, fileOf, close: () => daemon.stop() }
}
