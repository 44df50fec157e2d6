import { join } from 'node:path'
import { runTool } from '../../../test/interop/run.ts'
import type { Certificate } from './target.ts'

/** A self-signed certificate for loopback, ECDSA P-256 as most servers have. */
export async function makeCertificate(folder: string, signal: AbortSignal): Promise<Certificate> {
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  await runTool('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', certificate], { signal })
  return { certificate, key }
}
