import { createHash, randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Kubo, startKubo } from './kubo.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { pushBytes } from './push.ts'
import { describeWithTools } from './tools.ts'

const MiB = 1024 * 1024

const publicOnly = [
  { subject: 'anonymous', repositories: 'public/**', actions: ['pull'] },
  { subject: 'peer', repositories: '**', actions: ['pull'] }
]

function leafCid(bytes: Uint8Array): string {
  return CID.createV1(raw.code, createMultihash(0x12, createHash('sha256').update(bytes).digest())).toString()
}

describeWithTools(['ipfs'], 'Kubo and what is not for everyone', () => {
  const [shared, rest] = [randomBytes(MiB), randomBytes(MiB)]
  const known = Buffer.concat([shared, randomBytes(9)])
  let node: Pinnace
  let kubo: Kubo
  let secret: string
  let open: string

  /** Under the running node, with Kubo connected; Kubo forgets what it fetched. */
  const setRules = async (access: typeof publicOnly): Promise<void> => {
    await node.reconfigure({ access })
    await kubo.ipfs(['repo', 'gc'])
  }
  const blocked = async (cid: string) =>
    await expect(kubo.ipfs(['block', 'get', '--timeout=5s', cid])).rejects.toThrow(/deadline|not found/)

  beforeAll(async () => {
    const everything = { subject: 'anonymous', repositories: '**', actions: ['push'] }
    ;[node, kubo] = await Promise.all([startPinnace({ config: { access: [everything] } }), startKubo()])
    secret = await pushBytes(node.url, 'team/app', Buffer.concat([shared, rest]))
    open = await pushBytes(node.url, 'public/app', known)
    const [address = ''] = (await node.id()).multiaddrs
    await kubo.connect(address)
  })

  afterAll(async () => {
    await Promise.all([node?.close(), kubo?.close()])
  })

  it('gets of a private blob only the leaf that a public one has too', async () => {
    await setRules(publicOnly)
    expect((await kubo.cat(open)).equals(known)).toBe(true)
    expect((await kubo.cat(leafCid(shared))).equals(shared)).toBe(true)
    for (const cid of [secret, leafCid(rest), leafCid(randomBytes(9))]) await blocked(cid)
  })

  it('gets all of it once anonymous may pull it, and nothing once anonymous may not', async () => {
    await setRules([{ subject: 'anonymous', repositories: '**', actions: ['pull'] }])
    expect((await kubo.cat(secret)).equals(Buffer.concat([shared, rest]))).toBe(true)
    await setRules([{ subject: 'user', repositories: '**', actions: ['pull'] }])
    for (const cid of [secret, open, leafCid(shared)]) await blocked(cid)
  })
})
