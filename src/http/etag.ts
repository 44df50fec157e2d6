import { type Digest, tryParseDigest } from '../oci/digest.ts'

/** The strong entity tag of content that a digest names (RFC 9110, section 8.8.3). */
export function etagOf(digest: Digest): string {
  return `"${digest}"`
}

/** One element of a list: weak mark, quoted tag or (as distribution takes them) a bare one. */
const element = /\s*(?:(W\/)?"([^"]*)"|([^\s",]+))\s*(?:,|$)/y

interface Tag {
  weak: boolean
  value: string
}

/** Elements of an `If-Match` or `If-None-Match` header; what is malformed ends the list. */
function parseTags(header: string): Tag[] {
  const tags: Tag[] = []
  element.lastIndex = 0
  for (let match = element.exec(header); match !== null; match = element.exec(header)) {
    tags.push({ weak: match[1] !== undefined, value: match[2] ?? match[3] ?? '' })
    if (element.lastIndex >= header.length) break
  }
  return tags
}

/** Whether `If-None-Match` names the digest by weak comparison, so that GET and HEAD answer 304. */
export function noneMatchNames(header: string | undefined, digest: Digest): boolean {
  if (header === undefined) return false
  return header.trim() === '*' || parseTags(header).some(tag => tag.value === digest)
}

/**
 * The digests (or `*`) of an `If-Match` header that strong comparison can match; empty when the header can match nothing,
 * `undefined` without one.
 */
export function parseIfMatch(header: string | undefined): (Digest | '*')[] | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return ['*']
  return parseTags(header).flatMap(tag => {
    const digest = tag.weak ? undefined : tryParseDigest(tag.value)
    return digest === undefined ? [] : [digest]
  })
}

/** The digests (or `*`) of an `If-None-Match` header, by weak comparison; `undefined` without one. */
export function parseIfNoneMatch(header: string | undefined): (Digest | '*')[] | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return ['*']
  return parseTags(header).flatMap(tag => tryParseDigest(tag.value) ?? [])
}

/** Whether a `Range` may be honoured: no `If-Range`, or one with the strong tag of this very content. Dates never match. */
export function ifRangeHolds(header: string | undefined, digest: Digest): boolean {
  return header === undefined || header.trim() === etagOf(digest)
}
