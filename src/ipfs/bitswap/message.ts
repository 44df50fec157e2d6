/**
 * Messages of bitswap 1.2.0, as far as a server needs them: wantlists come in, blocks and presences go out.
 *
 * @see https://specs.ipfs.tech/bitswap-protocol/
 */
import { CID } from 'multiformats/cid'
import { bytesHeader, fieldsOf, varint, varintField } from '../protobuf.ts'

/** Bytes of the longest CID that is looked at, Kubo's limit: real ones have 36, and each want is kept in memory. */
const maxCid = 168
/** Entries looked at in one message: more than a peer can have pending, and some milliseconds of work. */
const maxEntries = 8192

export interface WantEntry {
  /** A view of the message: whoever keeps it keeps the message. */
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

export interface Message {
  wantlist: Wantlist
  /** Blocks and presences in it, with the length before them, as a message of their own; `undefined` when there are none. */
  answers: Uint8Array | undefined
}

const field = { wantlist: 1, block: 3, presence: 4 } as const

/**
 * The wants of a message, apart from what answers wants. Entries, blocks and presences beyond a bound are passed over.
 *
 * @throws {RangeError} not a bitswap message
 * @throws {Error} an entry that is not a CID
 */
export function decodeMessage(message: Uint8Array): Message {
  const wantlist: Wantlist = { full: false, entries: [] }
  const answers: Uint8Array[] = []
  for (const { number, value } of fieldsOf(message)) {
    if (typeof value === 'number') continue
    if (number === field.wantlist) decodeWantlist(value, wantlist)
    else if (answers.length < 2 * maxEntries && isAnswer(number, value)) {
      answers.push(Uint8Array.from(bytesHeader(number, value.byteLength)), value)
    }
  }
  return { wantlist, answers: answers.length === 0 ? undefined : prefixed(answers) }
}

/** The first field of either says which block: a prefix or a CID. Helia takes quadratic time to read a long prefix. */
function isAnswer(number: number, value: Uint8Array): boolean {
  if (number !== field.block && number !== field.presence) return false
  for (const part of fieldsOf(value)) {
    if (part.number === 1 && (typeof part.value === 'number' || part.value.byteLength > maxCid)) return false
  }
  return true
}

function prefixed(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0)
  return Buffer.concat([Uint8Array.from(varint(length)), ...parts])
}

function decodeWantlist(bytes: Uint8Array, wantlist: Wantlist): void {
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 2) wantlist.full = value === 1
    if (number !== 1 || typeof value === 'number' || wantlist.entries.length >= maxEntries) continue
    const entry = decodeEntry(value)
    if (entry !== undefined) wantlist.entries.push(entry)
  }
}

function decodeEntry(bytes: Uint8Array): WantEntry | undefined {
  let cid: Uint8Array | undefined
  const flags = { cancel: false, presenceOnly: false, sendDontHave: false }
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1 && typeof value !== 'number') cid = value
    if (number === 3) flags.cancel = value === 1
    if (number === 4) flags.presenceOnly = value === 1
    if (number === 5) flags.sendDontHave = value === 1
  }
  if (cid === undefined) throw new RangeError('a wantlist entry without a CID')
  return cid.byteLength > maxCid ? undefined : { cid: CID.decode(cid), ...flags }
}

/**
 * A length-prefixed message in the parts to send one after the other. The block's bytes are not copied: they are the
 * last part.
 */
export function encodeMessage(presences: readonly Presence[], block?: { cid: CID; bytes: Uint8Array }): Uint8Array[] {
  // An empty wantlist, which older peers expect to be there.
  const head = bytesHeader(field.wantlist, 0)
  for (const { cid, have } of presences) {
    const type = have ? [] : varintField(2, 1)
    const body = [...bytesHeader(1, cid.bytes.byteLength), ...cid.bytes, ...type]
    head.push(...bytesHeader(field.presence, body.length), ...body)
  }
  if (block === undefined) return [Uint8Array.from([...varint(head.length), ...head])]
  const prefix = cidPrefix(block.cid)
  const inner = [...bytesHeader(1, prefix.length), ...prefix, ...bytesHeader(2, block.bytes.byteLength)]
  head.push(...bytesHeader(field.block, inner.length + block.bytes.byteLength), ...inner)
  return [Uint8Array.from([...varint(head.length + block.bytes.byteLength), ...head]), block.bytes]
}

/** Version, codec, hash and digest length: with the bytes enough to compute the CID. */
function cidPrefix({ version, code, multihash }: CID): number[] {
  return [version, code, multihash.code, multihash.digest.byteLength].flatMap(varint)
}
