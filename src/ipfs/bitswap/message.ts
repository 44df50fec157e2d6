/**
 * Messages of bitswap 1.2.0, as far as a server needs them: wantlists come in, blocks and presences go out.
 *
 * @see https://specs.ipfs.tech/bitswap-protocol/
 */
import { CID } from 'multiformats/cid'
import { bytesHeader, fieldsOf, varint, varintField } from '../protobuf.ts'

export interface WantEntry {
  cid: CID
  cancel: boolean
  /** Only whether it is here is asked, not the block. */
  presenceOnly: boolean
  /** Say so when it is not here. */
  sendDontHave: boolean
}

export interface Wantlist {
  /** Replaces what was wanted before. */
  full: boolean
  entries: WantEntry[]
}

export interface Presence {
  cid: CID
  have: boolean
}

/**
 * Wants of a message; blocks and presences in it are somebody else's business.
 *
 * @throws {RangeError} not a bitswap message
 * @throws {Error} an entry that is not a CID
 */
export function decodeWantlist(message: Uint8Array): Wantlist {
  const wantlist: Wantlist = { full: false, entries: [] }
  for (const { number, value } of fieldsOf(message)) {
    if (number !== 1 || typeof value === 'number') continue
    for (const field of fieldsOf(value)) {
      if (field.number === 2) wantlist.full = field.value === 1
      if (field.number === 1 && typeof field.value !== 'number') wantlist.entries.push(decodeEntry(field.value))
    }
  }
  return wantlist
}

function decodeEntry(bytes: Uint8Array): WantEntry {
  let cid: CID | undefined
  const flags = { cancel: false, presenceOnly: false, sendDontHave: false }
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1 && typeof value !== 'number') cid = CID.decode(value.slice())
    if (number === 3) flags.cancel = value === 1
    if (number === 4) flags.presenceOnly = value === 1
    if (number === 5) flags.sendDontHave = value === 1
  }
  if (cid === undefined) throw new RangeError('a wantlist entry without a CID')
  return { cid, ...flags }
}

/**
 * A length-prefixed message in the parts to send one after the other. The block's bytes are not copied: they are the
 * last part.
 */
export function encodeMessage(presences: readonly Presence[], block?: { cid: CID; bytes: Uint8Array }): Uint8Array[] {
  // An empty wantlist, which older peers expect to be there.
  const head = bytesHeader(1, 0)
  for (const { cid, have } of presences) {
    const type = have ? [] : varintField(2, 1)
    const body = [...bytesHeader(1, cid.bytes.byteLength), ...cid.bytes, ...type]
    head.push(...bytesHeader(4, body.length), ...body)
  }
  if (block === undefined) return [Uint8Array.from([...varint(head.length), ...head])]
  const prefix = cidPrefix(block.cid)
  const inner = [...bytesHeader(1, prefix.length), ...prefix, ...bytesHeader(2, block.bytes.byteLength)]
  head.push(...bytesHeader(3, inner.length + block.bytes.byteLength), ...inner)
  return [Uint8Array.from([...varint(head.length + block.bytes.byteLength), ...head]), block.bytes]
}

/** Version, codec, hash and digest length: with the bytes enough to compute the CID. */
function cidPrefix({ version, code, multihash }: CID): number[] {
  return [version, code, multihash.code, multihash.digest.byteLength].flatMap(varint)
}
