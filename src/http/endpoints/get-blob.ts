import { showSubject } from '../../access/subject.ts'
import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseRanges, type Span } from '../../oci/range.ts'
import type { BlobReading } from '../../registry/registry.ts'
import type { Door } from '../door.ts'
import { etagOf, ifRangeHolds, noneMatchNames } from '../etag.ts'
import type { Exchange, HeaderList } from '../exchange.ts'
import type { Visitor } from '../guard.ts'
import { immutable } from '../manifest-headers.ts'
import { MultipartRanges } from '../multipart-ranges.ts'
import { pumpBlob } from '../pump-blob.ts'

/** Of every blob: what is in it is the manifest's to say. */
const blobType = 'application/octet-stream'

interface BlobTarget {
  repository: string
  digest: Digest
}

/** end-2, GET and HEAD. A blob that is to be had elsewhere only takes the action `fetch` besides. */
export async function getBlob(door: Door, exchange: Exchange, target: BlobTarget, visitor: Visitor): Promise<void> {
  const { repository, digest } = target
  const unchanged = noneMatchNames(exchange.header('if-none-match'), digest)
  if (exchange.request.method === 'HEAD' || unchanged) {
    const view = await door.registry.statBlob(repository, digest, exchange.abortable)
    if (unchanged)
      return exchange.send(304, ['ETag', etagOf(digest), 'Docker-Content-Digest', digest, 'Cache-Control', immutable])
    return exchange.sendHead(200, [...headersOf(view), 'Content-Length', String(view.size)])
  }
  const reading = await door.registry.openBlob(repository, digest, {
    ...exchange.abortable,
    demandFetch: () => demandFetch(door, exchange, target, visitor)
  })
  try {
    await sendBlob(door, exchange, reading)
  } finally {
    await reading.close()
  }
}

/** Who has the node get something, or wanted to, is an entry of the audit log. @throws {RegistryError} UNAUTHORIZED, DENIED */
function demandFetch(door: Door, exchange: Exchange, { repository, digest }: BlobTarget, visitor: Visitor): void {
  const subject = showSubject(visitor.caller.subject)
  const audited = { subject, action: 'fetch', repository, reference: digest } as const
  // Asking without a credential is how clients find out that they need one.
  if (!door.guard.isStranger(visitor)) exchange.audited = audited
  door.guard.demand(visitor, 'fetch', repository)
  exchange.audited = audited
}

async function sendBlob(door: Door, exchange: Exchange, reading: BlobReading): Promise<void> {
  const { size, digest } = reading
  const wanted = ifRangeHolds(exchange.header('if-range'), digest) ? exchange.header('range') : undefined
  // Clients resume with a Range as a matter of course; of an empty blob any range is all of it.
  const ranges = size === 0 ? 'whole' : parseRanges(wanted, size)
  if (ranges === 'unsatisfiable') {
    throw new RegistryError('RANGE_UNSATISFIABLE', {
      headers: { 'Content-Range': `bytes */${size}` },
      detail: { size }
    })
  }
  const spans = ranges === 'whole' ? wholeOf(size) : ranges
  const chunks = reading.read(spans, exchange.abortable)
  const { writeStallMs } = door.init
  const [span, ...more] = spans
  if (more.length > 0) {
    const parts = new MultipartRanges(spans, size, blobType)
    return pumpBlob(exchange, 206, headersOf(reading, parts.contentType), parts.body(chunks), writeStallMs)
  }
  const headers = headersOf(reading)
  if (ranges !== 'whole') headers.push('Content-Range', `bytes ${span.start}-${span.end - 1}/${size}`)
  await pumpBlob(
    exchange,
    ranges === 'whole' ? 200 : 206,
    headers,
    { chunks, length: span.end - span.start },
    writeStallMs
  )
}

function wholeOf(size: number): [Span] {
  return [{ start: 0, end: size }]
}

function headersOf({ digest, root }: Pick<BlobReading, 'digest' | 'root'>, contentType = blobType): HeaderList {
  const path = root === undefined ? [] : ['X-Ipfs-Path', `/ipfs/${root}`]
  return [
    'Content-Type',
    contentType,
    'Docker-Content-Digest',
    digest,
    'ETag',
    etagOf(digest),
    'Accept-Ranges',
    'bytes',
    'Cache-Control',
    immutable,
    ...path
  ]
}
