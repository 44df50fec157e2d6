/** Images with fields that are empty or null, as old builders pushed them, come over from distribution byte for byte. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts'
import { digestOf, type Image, imageOf, tarOf } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { pushImage, validateImage } from './registry-api.ts'
import { describeWithTools, runTool } from './tools.ts'

type Fields = Record<string, unknown>

/** The image with a manifest that somebody else's program wrote. */
function rewritten(image: Image, change: (manifest: Fields) => Fields): Image {
  const bytes = Buffer.from(JSON.stringify(change(JSON.parse(image.bytes.toString()))))
  return { ...image, bytes, descriptor: { ...image.descriptor, digest: digestOf(bytes), size: bytes.length } }
}

const kinds: readonly (readonly [string, (manifest: Fields) => Fields])[] = [
  ['an empty mediaType, as kaniko wrote it', manifest => ({ ...manifest, mediaType: '' })],
  [
    'null for what is optional',
    manifest => ({
      ...manifest,
      mediaType: null,
      manifests: null,
      annotations: null,
      subject: null,
      artifactType: null
    })
  ],
  ['layers null', manifest => ({ ...manifest, layers: null, artifactType: 'application/vnd.example' })],
  ['no layers', ({ layers: _, ...manifest }) => ({ ...manifest, artifactType: 'application/vnd.example' })]
]

const programs = [
  { program: 'docker-registry', version: '2.8' },
  { program: 'registry', version: '3' }
] as const

for (const { program, version } of programs) {
  describeWithTools([program, 'crane', 'regctl', 'skopeo'], `from distribution ${version}`, () => {
    let folder: string
    let node: Pinnace
    let registry: DockerRegistry
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pinnace-empty-fields-test-'))
      ;[node, registry] = await Promise.all([startPinnace(), startDockerRegistry({ program })])
    })
    afterAll(async () => {
      await node?.close()
      await registry?.close()
      await rm(folder, { recursive: true, force: true })
    })

    const copies: Record<string, (from: string, to: string) => Promise<unknown>> = {
      'crane copy': (from, to) => runTool('crane', ['copy', from, to]),
      'regctl image copy': (from, to) => {
        const hosts = [registry, node].flatMap(({ host }) => ['--host', `reg=${host},tls=disabled`])
        return runTool('regctl', [...hosts, 'image', 'copy', from, to], {
          env: { REGCTL_CONFIG: join(folder, 'regctl.json') }
        })
      },
      'skopeo copy --preserve-digests': (from, to) => {
        const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
        const images = [`docker://${from}`, `docker://${to}`]
        return runTool('skopeo', ['--insecure-policy', 'copy', '--preserve-digests', ...plain, ...images])
      }
    }

    describe.each(kinds)('%s', (_, change) => {
      it.each(Object.keys(copies))('%s', async name => {
        const image = rewritten(imageOf([tarOf({ file: randomBytes(5_000) })]), change)
        const repository = name.replaceAll(/[^a-z]+/g, '-')
        await pushImage(registry.url, repository, 'v1', image)
        await copies[name]?.(`${registry.host}/${repository}:v1`, `${node.host}/${repository}:v1`)
        const manifest: Fields = JSON.parse(image.bytes.toString())
        const blobs = Array.isArray(manifest.layers) ? image.blobs : image.blobs.slice(0, 1)
        await validateImage(node.url, repository, 'v1', { ...image, blobs })
        expect(node.logs()).not.toContain('internal error')
      })
    })
  })
}
