import { randomBytes } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { blobsOnDisk } from './blobs-on-disk.ts'
import { blobDigests, type Image, imageOf, tarOf } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { ask, expectAsk, locationOf, validateImage } from './registry-api.ts'

const octets = { 'Content-Type': 'application/octet-stream' }
const mebibyte = 1024 * 1024

const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
const layer = (bytes: number): Buffer => tarOf({ random: randomBytes(bytes) })

describe('garbage collection beside pushes', () => {
  interface Kept {
    repository: string
    tag: string
    image: Image
  }

  /**
   * Starts a node that collects again and again, removing manifests without a tag too. Between two runs there is time for a
   * push: without grace one that never fits in between is never taken.
   */
  const startCollecting = (grace: string): Promise<Pinnace> =>
    startPinnace({ config: { ipfs: { gc: { interval: '250ms', grace, deleteuntagged: true } } } })
  const collections = (node: Pinnace): number => node.logs().split('garbage collected').length - 1

  /**
   * Pushes as a patient client does, mounting what it can: again from the start when a blob went before its manifest
   * came. Gives how often that was.
   */
  async function pushUntilTaken(node: Pinnace, { repository, tag, image }: Kept): Promise<number> {
    for (let refusals = 0; refusals < 1000; refusals++) {
      for (const { descriptor, bytes } of image.blobs) {
        const path = `${repository}/blobs/uploads/?mount=${descriptor.digest}`
        const mounted = await ask(node.url, path, { method: 'POST' })
        if (mounted.status === 201) continue
        const put = new URL(locationOf(mounted, node.url))
        put.searchParams.set('digest', descriptor.digest)
        const answer = await fetch(put, { method: 'PUT', headers: octets, body: new Uint8Array(bytes) })
        expect(answer.status).toBe(201)
      }
      const headers = { 'Content-Type': image.descriptor.mediaType }
      const init = { method: 'PUT', headers, body: new Uint8Array(image.bytes) }
      const answer = await ask(node.url, `${repository}/manifests/${tag}`, init)
      if (answer.status === 201) return refusals
      expect(await answer.text()).toContain('MANIFEST_BLOB_UNKNOWN')
    }
    throw new Error('refused a thousand times')
  }

  /** Pushes images that share layers with images that are deleted meanwhile, from several hands. */
  async function churn(node: Pinnace): Promise<{ kept: Kept[]; refusals: number }> {
    const pool = times(4, () => layer(mebibyte + 1000))
    const kept: Kept[] = []
    let refusals = 0
    const round = async (hand: number, n: number): Promise<void> => {
      const layers = [pool[n % 4], pool[(hand + n) % 4], layer(20_000)].filter(bytes => bytes !== undefined)
      const pushed = { repository: `gc-${(hand + n) % 3}/app`, tag: `t${hand}-${n}`, image: imageOf(layers) }
      refusals += await pushUntilTaken(node, pushed)
      await validateImage(node.url, pushed.repository, pushed.tag, pushed.image)
      if (n % 2 === 0) kept.push(pushed)
      else {
        const path = `${pushed.repository}/manifests/${pushed.image.descriptor.digest}`
        await expectAsk(node.url, path, 202, { method: 'DELETE' })
      }
    }
    await Promise.all(
      times(4, async hand => {
        for (let n = 0; n < 10; n++) await round(hand, n)
      })
    )
    return { kept, refusals }
  }

  it.each([
    // Without grace a blob may go before its manifest comes: the push is told so, and may come again.
    { grace: '0s', mayRefuse: true },
    { grace: '1h', mayRefuse: false }
  ])('loses nothing acknowledged, with a grace of $grace', async ({ grace, mayRefuse }) => {
    const node = await startCollecting(grace)
    try {
      const { kept, refusals } = await churn(node)
      await vi.waitFor(() => expect(collections(node)).toBeGreaterThan(3), { timeout: 60_000 })
      if (!mayRefuse) expect(refusals).toBe(0)
      const validate = ({ repository, tag, image }: Kept) => validateImage(node.url, repository, tag, image)
      await Promise.all(kept.map(validate))
      const needed = blobDigests(kept.map(({ image }) => image))
      expect(await blobsOnDisk(node.dataDir)).toEqual(expect.arrayContaining(needed))
      await node.restart({ config: { ipfs: { gc: { interval: '0s', grace: '0s' } } } })
      await node.pinnace(['gc', '--delete-untagged'])
      await Promise.all(kept.map(validate))
      // What was deleted is gone from the disk too, and nothing else.
      expect(await blobsOnDisk(node.dataDir)).toEqual(needed)
    } finally {
      await node.close()
    }
  })

  it('spares a blob that is mounted while the last image that had it goes', async () => {
    const node = await startCollecting('0s')
    try {
      for (let n = 0; n < 15; n++) {
        const image = imageOf([layer(200_000)])
        await pushUntilTaken(node, { repository: 'from', tag: 'v1', image })
        const removal = expectAsk(node.url, `from/manifests/${image.descriptor.digest}`, 202, { method: 'DELETE' })
        await Promise.all([removal, pushUntilTaken(node, { repository: `to-${n}`, tag: 'v1', image })])
        await validateImage(node.url, `to-${n}`, 'v1', image)
      }
      await vi.waitFor(() => expect(collections(node)).toBeGreaterThan(0), { timeout: 60_000 })
    } finally {
      await node.close()
    }
  })
})
