import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts'
import { busyboxLayer, type Image, imageOf, indexOf, tarOf } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { acceptManifests, ask, expectAsk, pushImage, validateImage } from './registry-api.ts'
import { describeWithTools, runTool } from './tools.ts'

const programs = [
  { program: 'docker-registry', version: '2.8' },
  { program: 'registry', version: '3' }
] as const

for (const { program, version } of programs) {
  describeWithTools([program, 'crane', 'skopeo', 'busybox', 'tar'], `distribution ${version}`, () => {
    let folder: string
    let node: Pinnace
    let registry: DockerRegistry
    let index: Image
    const crane = async (...args: string[]): Promise<string> => (await runTool('crane', args)).stdout.trim()
    const skopeo = (...args: string[]) => runTool('skopeo', ['--insecure-policy', '--tmpdir', folder, ...args])
    const manifestOf = async (url: string, path: string): Promise<{ bytes: Buffer; type: string | null }> => {
      const response = await expectAsk(url, path, 200, { headers: acceptManifests })
      return { bytes: Buffer.from(await response.arrayBuffer()), type: response.headers.get('content-type') }
    }

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pinnace-distribution-test-'))
      ;[node, registry] = await Promise.all([startPinnace(), startDockerRegistry({ program })])
      const arm = { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }
      index = indexOf([
        imageOf([await busyboxLayer(), tarOf({ random: randomBytes(9 << 20) })], { annotations: { 'a.b': 'c' } }),
        imageOf([tarOf({ arm: randomBytes(70_000) })], arm)
      ])
      await pushImage(registry.url, 'origin/app', 'v1', index)
    })
    afterAll(async () => {
      await node?.close()
      await registry?.close()
      await rm(folder, { recursive: true, force: true })
    })

    it('gives an index to Pinnace, and gets the same back', async () => {
      await crane('copy', `${registry.host}/origin/app:v1`, `${node.host}/here/app:v1`)
      await validateImage(node.url, 'here/app', 'v1', index)
      await crane('copy', `${node.host}/here/app:v1`, `${registry.host}/back/app:v1`)
      await validateImage(registry.url, 'back/app', 'v1', index)
      const digests = await Promise.all(
        [`${registry.host}/origin/app:v1`, `${node.host}/here/app:v1`, `${registry.host}/back/app:v1`].map(name =>
          crane('digest', name)
        )
      )
      expect(new Set(digests)).toEqual(new Set([index.descriptor.digest]))
    })

    it('does so in Docker’s formats', async () => {
      const first = `docker://${registry.host}/docker/app:v1`
      const insecure = ['--src-tls-verify=false', '--dest-tls-verify=false', '--all']
      await skopeo('copy', ...insecure, '--format=v2s2', `docker://${registry.host}/origin/app:v1`, first)
      await crane('copy', `${registry.host}/docker/app:v1`, `${node.host}/docker/app:v1`)
      await skopeo(
        'copy',
        ...insecure,
        `docker://${node.host}/docker/app:v1`,
        `docker://${registry.host}/docker/back:v1`
      )
      const [before, here, after] = await Promise.all([
        manifestOf(registry.url, 'docker/app/manifests/v1'),
        manifestOf(node.url, 'docker/app/manifests/v1'),
        manifestOf(registry.url, 'docker/back/manifests/v1')
      ])
      expect(before.type).toBe('application/vnd.docker.distribution.manifest.list.v2+json')
      expect(here).toEqual(before)
      expect(after).toEqual(before)
      await crane('validate', '--remote', `${node.host}/docker/app:v1`)
    })

    it('synchronises all tags of a repository into Pinnace', async () => {
      for (const tag of ['v2', 'latest']) await crane('tag', `${registry.host}/origin/app:v1`, tag)
      const flags = [
        '--all',
        '--src-tls-verify=false',
        '--dest-tls-verify=false',
        '--src',
        'docker',
        '--dest',
        'docker'
      ]
      await skopeo('sync', ...flags, `${registry.host}/origin/app`, `${node.host}/mirror`)
      expect((await crane('ls', `${node.host}/mirror/app`)).split('\n')).toEqual(['latest', 'v1', 'v2'])
      for (const tag of ['latest', 'v1', 'v2']) await validateImage(node.url, 'mirror/app', tag, index)
    })

    it('answers the same statuses and headers as Pinnace where both know the answer', async () => {
      const { digest } = index.descriptor
      const blob = index.children[0]?.blobs[1]?.descriptor.digest
      const absent = `sha256:${'0'.repeat(64)}`
      const requests: [path: string, init: RequestInit][] = [
        ['', {}],
        ['app/manifests/v1', { headers: acceptManifests }],
        [`app/manifests/${digest}`, { method: 'HEAD', headers: acceptManifests }],
        ['app/manifests/absent', { headers: acceptManifests }],
        [`app/manifests/${absent}`, { headers: acceptManifests }],
        [`app/blobs/${blob}`, { method: 'HEAD' }],
        [`app/blobs/${blob}`, { headers: { Range: 'bytes=5-9' } }],
        [`app/blobs/${absent}`, {}],
        ['app/tags/list', {}],
        ['absent/tags/list', {}],
        ['app/blobs/uploads/', { method: 'POST' }],
        [`other/blobs/uploads/?mount=${blob}&from=app`, { method: 'POST' }],
        [`app/manifests/${absent}`, { method: 'DELETE' }]
      ]
      await pushImage(registry.url, 'app', 'v1', index)
      await pushImage(node.url, 'app', 'v1', index)
      const shared = ['content-type', 'content-length', 'content-range', 'docker-content-digest', 'etag', 'range']
      for (const [path, init] of requests) {
        const seen = await Promise.all(
          [registry.url, node.url].map(async url => {
            const response = await ask(url, path, init)
            await response.arrayBuffer()
            // Errors and lists say the same in other words or with another line end; the rest is compared to the byte.
            const exact = response.status < 400 && /manifests|blobs/.test(path)
            const headers = exact ? shared.map(name => `${name}: ${response.headers.get(name)}`) : []
            return [`${init.method ?? 'GET'} ${path}: ${response.status}`, ...headers]
          })
        )
        expect(seen[1]).toEqual(seen[0])
      }
    })
  })
}
