import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { blobsOnDisk } from './blobs-on-disk.ts'
import { blobDigests, type Image, imageOf, indexOf, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { validateImage } from './registry-api.ts'
import { describeWithTools, runTool } from './tools.ts'

describeWithTools(['crane', 'oras'], 'deleting what crane and oras pushed', () => {
  let folder: string
  let node: Pinnace
  let image: Image
  let arm: Image
  let index: Image
  let kept: Image

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-deleting-'))
    // No grace: what is spared for it is another test's.
    node = await startPinnace({ config: { ipfs: { gc: { interval: '0s', grace: '0s' } } } })
    const shared = tarOf({ shared: randomBytes(300_000) })
    image = imageOf([shared, tarOf({ amd: randomBytes(200_000) })])
    arm = imageOf([tarOf({ arm: randomBytes(100_000) })], { platform: { os: 'linux', architecture: 'arm64' } })
    index = indexOf([image, arm])
    kept = imageOf([shared])
    await writeLayout(join(folder, 'index'), { v1: index })
    await writeLayout(join(folder, 'kept'), { v1: kept })
    await writeFile(join(folder, 'sbom.json'), '{"spdxVersion":"SPDX-2.3"}')
  })
  afterAll(async () => {
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const push = async (layout: string, name: string) =>
    runTool('crane', ['push', join(folder, layout), `${node.host}/${name}`])

  it('an index goes with its last tag, its children and its SBOM with it, and gc then frees their bytes alone', async () => {
    await push('index', 'app:v1')
    await push('kept', 'app:kept')
    await runTool('crane', ['tag', `${node.host}/app:v1`, 'v2'])
    const attach = ['attach', '--plain-http', '--no-tty', '--artifact-type', 'application/spdx+json']
    await runTool('oras', [...attach, `${node.host}/app:v1`, 'sbom.json:application/spdx+json'], { cwd: folder })
    const first = await node.pinnace(['rm', 'app:v1', '--yes'])
    expect(first.stdout).toBe('removed app:v1; its manifest stays: app:v2 names it too\n')
    await validateImage(node.url, 'app', 'v2', index)
    expect((await node.pinnace(['gc'])).stdout).toMatch(/^freed 0 blobs \(0 B\), 0 links, 0 manifests\n$/)
    expect((await node.pinnace(['rm', 'app:v2', '--yes'])).stdout).toBe('removed app:v2 and 4 manifests\n')
    const dry = (await node.pinnace(['gc', '--dry-run'])).stdout
    const real = (await node.pinnace(['gc'])).stdout
    expect(real).toMatch(/^freed [5-9] blobs \(29\d KiB\), [5-9] links, 0 manifests\n$/)
    expect(dry).toBe(real.replace('freed', 'would free'))
    expect(await blobsOnDisk(node.dataDir)).toEqual(blobDigests([kept]))
    await validateImage(node.url, 'app', 'kept', kept)
  })

  it('a tag that moved on leaves its image, which is listed, kept for ever, and removed when asked', async () => {
    await push('index', 'moved:latest')
    await push('kept', 'moved:latest')
    const { digest } = index.descriptor
    expect((await node.pinnace(['ls', 'moved', '--untagged'])).stdout).toContain(`moved@${digest}`)
    expect((await node.pinnace(['gc'])).stdout).toMatch(
      /^freed 0 blobs \(0 B\), .*\nspared 29\d KiB: 1 untagged manifest \(pinnace ls --untagged lists them\)\n$/
    )
    const pulled = await runTool('crane', ['validate', '--remote', `${node.host}/moved@${digest}`])
    expect(pulled.stdout + pulled.stderr).toContain('PASS')
    expect((await node.pinnace(['gc', '--untagged', '0s'])).stdout).toMatch(
      /^freed 4 blobs \(29\d KiB\), .* 3 manifests\n/
    )
    expect(await blobsOnDisk(node.dataDir)).toEqual(blobDigests([kept]))
  })

  it('a repository goes with all that is in it', async () => {
    await push('index', 'team/app:v1')
    await push('kept', 'team/app:v2')
    expect((await node.pinnace(['rm', 'team/app', '--all', '--yes'])).stdout).toMatch(
      /^removed team\/app: 2 tags, 4 manifests, \d blobs\n$/
    )
    await node.pinnace(['gc'])
    expect(await blobsOnDisk(node.dataDir)).toEqual(blobDigests([kept]))
    await validateImage(node.url, 'app', 'kept', kept)
  })
})
