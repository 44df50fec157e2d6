import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { directoryDag, shardingThreshold } from '../../src/ipfs/dag/directory.ts'
import { indexJson, ociLayout } from '../../src/ipfs/dag/image.ts'
import { BlockSet } from '../../src/ipfs/dag/node.ts'
import { namesForBlockOf } from '../ipfs/folder-of-size.ts'
import { fixtureImages } from '../ipfs/image-vectors.ts'
import { type Kubo, startKubo } from './kubo.ts'
import { describeWithTools } from './tools.ts'

describeWithTools(['ipfs'], 'Kubo computes the same CIDs', () => {
  let folder: string
  let kubo: Kubo

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-vectors-'))
    kubo = await startKubo()
  })

  afterAll(async () => {
    await kubo?.close()
    await rm(folder, { recursive: true, force: true })
  })

  for (const name of ['image', 'index', 'sha512', 'sharded'] as const) {
    it(`of the published vector "${name}"`, async () => {
      const text = await readFile(new URL('../fixtures/image-cid.json', import.meta.url), 'utf8')
      const { manifest, blobs, roots, imageCid, dagSize } = fixtureImages(text)[name]
      const layout = join(folder, name)
      for (const { digest, bytes } of blobs) {
        const path = join(layout, 'blobs', digest.replace(':', '/'))
        await mkdir(join(path, '..'), { recursive: true })
        await writeFile(path, bytes)
        const root = roots[digest]
        if (root !== undefined) expect(await kubo.addOnlyHash(path)).toBe(root)
      }
      await writeFile(join(layout, 'oci-layout'), ociLayout)
      await writeFile(join(layout, 'index.json'), indexJson(manifest))
      expect(await kubo.add(layout)).toBe(imageCid)
      const stat: { CumulativeSize: number } = JSON.parse(
        (await kubo.ipfs(['files', 'stat', '--enc=json', `/ipfs/${imageCid}`])).stdout
      )
      expect(stat.CumulativeSize).toBe(dagSize)
    })
  }

  for (const size of [shardingThreshold - 1, shardingThreshold, shardingThreshold + 1]) {
    it(`of a folder whose block would have ${size} bytes`, async () => {
      const layout = join(folder, String(size))
      await mkdir(layout)
      const cid = CID.parse('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
      const names = namesForBlockOf(size)
      for (const name of names) await writeFile(join(layout, name), '')
      const dag = await directoryDag(new Map(names.map(name => [name, { cid, dagSize: 0 }])), new BlockSet())
      expect(await kubo.addOnlyHash(layout)).toBe(dag.cid.toString())
    })
  }
})
