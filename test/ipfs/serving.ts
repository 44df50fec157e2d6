import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { onTestFinished } from 'vitest'
import { startIpfs } from '../../src/ipfs/ipfs.ts'
import type { BlockHome } from '../../src/registry/ports.ts'
import { BitswapProbe } from './bitswap-probe.ts'
import { FileSource } from './file-source.ts'
import { silentLog } from './silent-log.ts'
import { temporaryFolder } from './temporary-folder.ts'

export const MiB = 1024 * 1024

export function rawCid(bytes: Uint8Array): CID {
  return CID.createV1(raw.code, createMultihash(0x12, createHash('sha256').update(bytes).digest()))
}

/** A node's IPFS side over files, and a peer that is connected to it. */
export async function serving() {
  const folder = await temporaryFolder()
  const source = new FileSource()
  const ipfs = await startIpfs(
    { source, log: silentLog, onCorrupt: () => undefined },
    { folder: join(folder, 'ipfs'), listen: ['/ip4/127.0.0.1/tcp/0'] }
  )
  onTestFinished(async () => {
    await ipfs.stop()
    await source.close()
  })
  const [address = ''] = ipfs.multiaddrs()
  let files = 0
  const add = async (bytes: Uint8Array) => {
    const path = join(folder, String(files++))
    await writeFile(path, bytes)
    const { digest, root } = await source.addFile(path)
    const home: BlockHome = `blob:${digest}`
    return { root, home }
  }
  return { folder, source, ipfs, address, add, probe: await BitswapProbe.connect(address) }
}
