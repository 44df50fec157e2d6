/** A manifest of a type that the registry does not know keeps what it names through garbage collection, and comes back. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digestOf } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { describeWithTools, runTool } from './tools.ts'

const artifactType = 'application/vnd.cncf.oras.artifact.manifest.v1+json'

describeWithTools(['oras'], 'oras', () => {
  let folder: string
  let node: Pinnace
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-unknown-test-'))
    node = await startPinnace({ config: { ipfs: { gc: { grace: '0s' } } } })
  })
  afterAll(async () => {
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const oras = (command: string, ...args: string[]) =>
    runTool('oras', [...command.split(' '), '--plain-http', ...args], { cwd: folder })

  /** Pushes a blob of the file, and gives what names it. */
  async function pushBlob(repository: string, name: string, bytes: Buffer) {
    await writeFile(join(folder, name), bytes)
    const digest = digestOf(bytes)
    await oras('blob push', `${node.host}/${repository}@${digest}`, name)
    return { mediaType: 'application/octet-stream', digest, size: bytes.length }
  }

  async function pull(command: string, reference: string): Promise<Buffer> {
    await oras(command, '--output', 'pulled', `${node.host}/${reference}`)
    return await readFile(join(folder, 'pulled'))
  }

  it.each([
    [artifactType, (blob: object) => ({ mediaType: artifactType, artifactType: 'x/y', blobs: [blob] })],
    ['application/json', (blob: object) => ({ files: { 'a.bin': { content: blob } } })]
  ])('%s', async (mediaType, naming) => {
    const repository = mediaType === artifactType ? 'artifact' : 'json'
    const bytes = randomBytes(100_000)
    const blob = await pushBlob(repository, 'blob.bin', bytes)
    const stray = await pushBlob(repository, 'stray.bin', randomBytes(1_000))
    // White space and order that no encoder would choose.
    const manifest = Buffer.from(`${JSON.stringify(naming(blob), null, 3)}\n\n`)
    await writeFile(join(folder, 'manifest.json'), manifest)
    await oras('manifest push', '--media-type', mediaType, `${node.host}/${repository}:v1`, 'manifest.json')
    const freed = JSON.parse((await node.pinnace(['gc', '--json'])).stdout)
    expect(freed).toMatchObject({ blobs: 1, bytes: 1_000 })
    expect(await pull('manifest fetch', `${repository}:v1`)).toEqual(manifest)
    expect(await pull('blob fetch', `${repository}@${blob.digest}`)).toEqual(bytes)
    await expect(pull('blob fetch', `${repository}@${stray.digest}`)).rejects.toThrow()
    // With the manifest goes what only it kept.
    await oras('manifest delete', '--force', `${node.host}/${repository}:v1`)
    expect(JSON.parse((await node.pinnace(['gc', '--json'])).stdout)).toMatchObject({ blobs: 1, bytes: bytes.length })
  })
})
