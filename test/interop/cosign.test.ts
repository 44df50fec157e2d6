import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Descriptor, type Image, imageOf, indexOf, tarOf } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { ask, expectAsk, pushImage, validateImage } from './registry-api.ts'
import { describeWithTools, runTool } from './tools.ts'

// A key needs no authority, but cosign asks the internet for some unless it is given one, and any is enough. Should it
// ask all the same, nobody is at that address.
const offline = { SIGSTORE_REKOR_PUBLIC_KEY: 'cosign.pub', TUF_MIRROR: 'http://127.0.0.1:1' }

describeWithTools(['cosign'], 'cosign', () => {
  let folder: string
  let node: Pinnace
  let other: Pinnace
  let index: Image
  const cosign = async (command: string, args: readonly string[], env: Record<string, string> = {}) =>
    await runTool('cosign', [...command.split(' '), '--allow-http-registry', ...args], {
      cwd: folder,
      env: { COSIGN_PASSWORD: 'secret', ...offline, ...env }
    })
  const sign = (reference: string, ...flags: string[]) =>
    cosign('sign', ['--yes', '--tlog-upload=false', '--key', 'cosign.key', ...flags, reference])
  const check = ['--insecure-ignore-tlog', '--trusted-root', 'trusted-root.json', '--key', 'cosign.pub']
  const verify = async (reference: string, ...flags: string[]) => {
    const result = await cosign('verify', [...check, ...flags, reference])
    expect(result.stderr).not.toMatch(/TUF/)
    return result
  }
  const tags = async (at: Pinnace, repository: string): Promise<string[]> => {
    const list: { tags: string[] } = JSON.parse(await (await expectAsk(at.url, `${repository}/tags/list`, 200)).text())
    return list.tags
  }
  const referrers = async (repository: string, digest: string): Promise<Descriptor[]> => {
    const response = await expectAsk(node.url, `${repository}/referrers/${digest}`, 200)
    const list: { manifests: Descriptor[] } = JSON.parse(await response.text())
    return list.manifests
  }
  const tagOf = (digest: string, suffix: string): string => `${digest.replace(':', '-')}.${suffix}`

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-cosign-test-'))
    ;[node, other] = await Promise.all([startPinnace(), startPinnace()])
    const arm = { platform: { os: 'linux', architecture: 'arm64' } }
    index = indexOf([imageOf([tarOf({ amd: randomBytes(5000) })]), imageOf([tarOf({ arm: randomBytes(5000) })], arm)])
    for (const name of ['tags/app', 'referrers/app']) await pushImage(node.url, name, 'v1', index)
    await runTool('cosign', ['generate-key-pair'], { cwd: folder, env: { COSIGN_PASSWORD: 'secret' } })
    await runTool('cosign', ['generate-key-pair', '--output-key-prefix', 'stranger'], {
      cwd: folder,
      env: { COSIGN_PASSWORD: 'secret' }
    })
    await runTool('cosign', ['trusted-root', 'create', '--out', 'trusted-root.json'], { cwd: folder })
    await writeFile(join(folder, 'sbom.json'), '{"spdxVersion":"SPDX-2.3","name":"app"}')
    await writeFile(join(folder, 'predicate.json'), '{"built":"here"}')
  })
  afterAll(async () => {
    await node?.close()
    await other?.close()
    await rm(folder, { recursive: true, force: true })
  })

  describe('by tags', () => {
    const name = (): string => `${node.host}/tags/app@${index.descriptor.digest}`

    it('signs an index with all its images, and verifies', async () => {
      await sign(name(), '--recursive', '--annotations', 'stage=test')
      const seen = JSON.parse((await verify(`${node.host}/tags/app:v1`, '--annotations', 'stage=test')).stdout)
      expect(seen[0].critical.image['docker-manifest-digest']).toBe(index.descriptor.digest)
      expect(await tags(node, 'tags/app')).toContain(tagOf(index.descriptor.digest, 'sig'))
      for (const child of index.children) {
        await verify(`${node.host}/tags/app@${child.descriptor.digest}`)
      }
    })

    it('refuses what was signed by another key or not at all', async () => {
      await expect(verify(name(), '--key', 'stranger.pub')).rejects.toThrow(/no matching signatures|invalid signature/)
      const unsigned = imageOf([tarOf({ unsigned: randomBytes(1000) })])
      await pushImage(node.url, 'tags/app', 'unsigned', unsigned)
      await expect(verify(`${node.host}/tags/app:unsigned`)).rejects.toThrow(/no signatures found/)
    })

    it('adds a second signature beside the first', async () => {
      await cosign('sign', ['--yes', '--tlog-upload=false', '--key', 'stranger.key', name()])
      await verify(name())
      await verify(name(), '--key', 'stranger.pub')
    })

    it('attaches an SBOM and an attestation, and reads them back', async () => {
      await cosign('attach sbom', ['--sbom', 'sbom.json', '--input-format', 'json', name()])
      expect((await cosign('download sbom', [name()])).stdout.trim()).toBe(
        await readFile(join(folder, 'sbom.json'), 'utf8')
      )
      const attest = ['--yes', '--tlog-upload=false', '--key', 'cosign.key', '--predicate', 'predicate.json']
      await cosign('attest', [...attest, '--type', 'custom', name()])
      const verified = await cosign('verify-attestation', [...check, '--type', 'custom', name()])
      const { payload } = JSON.parse(verified.stdout.split('\n')[0] ?? '')
      const statement = JSON.parse(Buffer.from(payload, 'base64').toString())
      expect(statement.subject[0].digest.sha256).toBe(index.descriptor.digest.slice('sha256:'.length))
      const all = await tags(node, 'tags/app')
      for (const suffix of ['sig', 'sbom', 'att']) expect(all).toContain(tagOf(index.descriptor.digest, suffix))
    })

    it('copies an image with its signatures to another node', async () => {
      await cosign('copy', [`${node.host}/tags/app:v1`, `${other.host}/copied/app:v1`])
      await validateImage(other.url, 'copied/app', 'v1', index)
      await verify(`${other.host}/copied/app:v1`)
    })

    it('cleans the signatures away', async () => {
      await cosign('clean', ['--force', '--type', 'signature', `${node.host}/tags/app:v1`])
      expect(await tags(node, 'tags/app')).not.toContain(tagOf(index.descriptor.digest, 'sig'))
      await expect(verify(name())).rejects.toThrow(/no signatures found/)
      await validateImage(node.url, 'tags/app', 'v1', index)
    })
  })

  describe('by referrers', () => {
    const name = (): string => `${node.host}/referrers/app@${index.descriptor.digest}`
    const experimental = { COSIGN_EXPERIMENTAL: '1' }

    it('signs as a referrer and verifies by the referrers API', async () => {
      const flags = ['--yes', '--tlog-upload=false', '--key', 'cosign.key', '--registry-referrers-mode', 'oci-1-1']
      await cosign('sign', [...flags, name()], experimental)
      const found = await referrers('referrers/app', index.descriptor.digest)
      expect(found.map(({ artifactType }) => artifactType)).toEqual(['application/vnd.dev.cosign.artifact.sig.v1+json'])
      expect(await tags(node, 'referrers/app')).toEqual(['v1'])
      const flagsOfReferrers = [...check, '--experimental-oci11', name()]
      const seen = JSON.parse((await cosign('verify', flagsOfReferrers, experimental)).stdout)
      expect(seen[0].critical.image['docker-manifest-digest']).toBe(index.descriptor.digest)
      const [referrer] = found
      await expectAsk(node.url, `referrers/app/manifests/${referrer?.digest}`, 202, { method: 'DELETE' })
      await expect(cosign('verify', flagsOfReferrers, experimental)).rejects.toThrow(/no signatures found|no matching/)
    })

    it('attaches an SBOM as a referrer', async () => {
      const flags = ['--sbom', 'sbom.json', '--input-format', 'json', '--registry-referrers-mode', 'oci-1-1']
      await cosign('attach sbom', [...flags, name()], experimental)
      const found = await referrers('referrers/app', index.descriptor.digest)
      expect(found).toHaveLength(1)
      const manifest = await ask(node.url, `referrers/app/manifests/${found[0]?.digest}`, {
        headers: { Accept: '*/*' }
      })
      expect(JSON.parse(await manifest.text()).subject.digest).toBe(index.descriptor.digest)
    })

    it('attests in a bundle, as a referrer', async () => {
      const flags = ['--yes', '--tlog-upload=false', '--key', 'cosign.key', '--new-bundle-format']
      await cosign('attest', [...flags, '--predicate', 'predicate.json', '--type', 'custom', name()])
      const found = await referrers('referrers/app', index.descriptor.digest)
      expect(found.map(({ artifactType }) => artifactType)).toContainEqual(expect.stringMatching(/sigstore\.bundle/))
      await cosign('verify-attestation', [...check, '--new-bundle-format', '--type', 'custom', name()])
    })
  })
})
