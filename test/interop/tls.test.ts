import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startPinnace } from './node.ts'
import { describeWithTools, requireTool, runTool } from './tools.ts'

/** A certificate for loopback that is its own authority. */
function makeCertificate(folder: string, name: string): void {
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)]
  const names = ['-subj', '/CN=pinnace test', '-days', '1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync(requireTool('openssl'), ['req', '-x509', ...key, ...names, ...files], { stdio: 'ignore' })
}

describeWithTools(['crane', 'skopeo', 'openssl', 'tar'], 'certificate files and real clients', () => {
  it('crane pushes and skopeo reads, before and after the files are replaced', { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pinnace-tls-clients-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    makeCertificate(folder, 'tls')
    makeCertificate(folder, 'next')
    const tls = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
    const node = await startPinnace({ config: { http: { tls } } })
    onTestFinished(() => node.close())
    await writeFile(join(folder, 'file'), 'content')
    await runTool('tar', ['-cf', join(folder, 'layer.tar'), '-C', folder, 'file'])
    const image = `${node.host}/app:v1`
    const push = (authority: string, exitCodes = [0]) =>
      runTool('crane', ['append', '-f', join(folder, 'layer.tar'), '-t', image], {
        env: { SSL_CERT_FILE: authority, SSL_CERT_DIR: '/nonexistent' },
        exitCodes
      })
    const inspect = async (authority: string): Promise<string> => {
      const certificates = await mkdtemp(join(folder, 'certs-'))
      await mkdir(certificates, { recursive: true })
      await writeFile(join(certificates, 'ca.crt'), authority)
      const { stdout } = await runTool('skopeo', ['inspect', '--cert-dir', certificates, `docker://${image}`])
      return stdout
    }
    const [before, after] = [join(folder, 'before.pem'), join(folder, 'after.pem')]
    const copies = ['tls.crt', 'next.crt'].map(name => execFileSync('cat', [join(folder, name)]))
    await writeFile(before, copies[0] ?? '')
    await writeFile(after, copies[1] ?? '')
    await push(before)
    expect(await inspect(String(copies[0]))).toContain('sha256:')
    await push(after, [1])
    await rename(join(folder, 'next.crt'), tls.certificate)
    await rename(join(folder, 'next.key'), tls.key)
    await expect.poll(() => node.logs(), { timeout: 30_000 }).toContain('new certificate in use')
    await push(after)
    expect(await inspect(String(copies[1]))).toContain('sha256:')
    await push(before, [1])
  })
})
