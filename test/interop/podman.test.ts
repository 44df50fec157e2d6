import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeBusyboxRoot } from './dockerd.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { makePodman, type Podman } from './podman.ts'
import { ask } from './registry-api.ts'
import { describeWithTools } from './tools.ts'

describeWithTools(['podman', 'busybox', 'umount'], 'podman', () => {
  let node: Pinnace
  let own: Podman
  const podman = async (...args: string[]): Promise<string> => (await own.podman(args)).stdout
  const run = (...args: string[]): Promise<string> => podman('run', '--rm', '--network', 'none', ...args)
  const push = (...args: string[]): Promise<string> => podman('push', '--tls-verify=false', ...args)
  const pull = (reference: string): Promise<string> => podman('pull', '--tls-verify=false', reference)
  const forget = (): Promise<string> => podman('rmi', '--all', '--force')

  beforeAll(async () => {
    ;[node, own] = await Promise.all([startPinnace(), makePodman()])
    await makeBusyboxRoot(join(own.folder, 'context', 'root'))
    const file = 'FROM scratch\nCOPY root /\nRUN echo built > /file\nCMD ["cat", "/file"]\n'
    await writeFile(join(own.folder, 'context', 'Containerfile'), file)
    await podman('build', '--network', 'none', '--tag', 'localhost/built:1', join(own.folder, 'context'))
  })
  afterAll(async () => {
    await own?.close()
    await node?.close()
  })

  it.each(['oci', 'v2s2'])('pushes as %s, forgets, pulls and runs', async format => {
    const name = `${node.host}/podman/${format}:v1`
    await podman('build', '--network', 'none', '--tag', 'localhost/built:1', join(own.folder, 'context'))
    const digestFile = join(own.folder, `digest-${format}`)
    await push('--format', format, '--digestfile', digestFile, 'localhost/built:1', name)
    const head = await ask(node.url, `podman/${format}/manifests/v1`, { headers: { Accept: '*/*' } })
    expect(head.headers.get('content-type')).toBe(
      format === 'oci'
        ? 'application/vnd.oci.image.manifest.v1+json'
        : 'application/vnd.docker.distribution.manifest.v2+json'
    )
    await forget()
    await pull(name)
    expect(await run(name)).toBe('built\n')
    const digest = head.headers.get('docker-content-digest')
    expect((await podman('image', 'inspect', '--format', '{{.Digest}}', name)).trim()).toBe(digest)
    await forget()
    await pull(`${node.host}/podman/${format}@${digest}`)
    expect(await run(`${node.host}/podman/${format}@${digest}`)).toBe('built\n')
  })

  it('pushes and pulls a manifest list', async () => {
    const name = `${node.host}/podman/list:v1`
    await pull(`${node.host}/podman/oci:v1`)
    await podman('manifest', 'create', 'list', `containers-storage:${node.host}/podman/oci:v1`)
    await podman('manifest', 'push', '--tls-verify=false', '--all', 'list', `docker://${name}`)
    const pushed = await ask(node.url, 'podman/list/manifests/v1', { headers: { Accept: '*/*' } })
    const index: { manifests: unknown[] } = JSON.parse(await pushed.text())
    expect(index.manifests).toHaveLength(1)
    await podman('manifest', 'rm', 'list')
    await forget()
    await pull(name)
    expect(await run(name)).toBe('built\n')
  })

  it('lists tags, and says that a name is unknown', async () => {
    await expect(pull(`${node.host}/podman/absent:v1`)).rejects.toThrow(/manifest unknown|name unknown/)
    expect(await podman('search', '--tls-verify=false', '--list-tags', `${node.host}/podman/oci`)).toMatch(/\bv1\b/)
  })

  it('commits a container, pushes only its new layer and runs it', async () => {
    const base = `${node.host}/podman/oci:v1`
    await pull(base)
    await podman('run', '--name', 'made', '--network', 'none', base, 'sh', '-c', 'echo changed > /file')
    await podman('commit', 'made', 'localhost/changed:1')
    await podman('rm', 'made')
    await push('localhost/changed:1', `${node.host}/podman/oci:v2`)
    await forget()
    await pull(`${node.host}/podman/oci:v2`)
    expect(await run(`${node.host}/podman/oci:v2`, 'cat', '/file')).toBe('changed\n')
    const layers = async (tag: string): Promise<string[]> => {
      const response = await ask(node.url, `podman/oci/manifests/${tag}`, { headers: { Accept: '*/*' } })
      const manifest: { layers: { digest: string }[] } = JSON.parse(await response.text())
      return manifest.layers.map(layer => layer.digest)
    }
    const [before, after] = await Promise.all([layers('v1'), layers('v2')])
    expect(after.slice(0, before.length)).toEqual(before)
    expect(after).toHaveLength(before.length + 1)
  })
})
