import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startDaemon } from '../../../test/interop/daemon.ts'
import { answers, freePort } from './answers.ts'
import type { Target, TargetInit } from './target.ts'

/** olareg on a folder. */
export async function startOlareg({ folder, tls, signal }: TargetInit): Promise<Target> {
  const port = await freePort()
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
  const data = join(folder, 'data')
  await mkdir(data, { recursive: true })
  const secure = tls ? ['--tls-cert', tls.certificate, '--tls-key', tls.key] : []
  const listen = ['--addr', '127.0.0.1', '--port', String(port), '--dir', data]
  const daemon = await startDaemon('olareg', ['serve', '-v', 'error', ...listen, ...secure], {
    ready: () => answers(origin),
    signal
  })
  const fileOf = (repository: string, digest: string): string => join(data, repository, 'blobs', ...digest.split(':'))
  return { name: 'olareg', origin, pid: daemon.pid, fileOf, close: () => daemon.stop() }
}
