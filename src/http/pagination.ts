import { RegistryError } from '../errors.ts'
import type { SealedNames } from './sealed-names.ts'

export interface PageQuery {
  /** Items asked for, 0 included, already capped. */
  limit: number
  after?: string
}

/** Longest thing a list is ordered by: a repository's name. */
const maxLastLength = 255

/**
 * `n` and `last` (end-8b). More than `max` is no error: the page is cut there and `Link` leads on, so a huge `n` costs
 * nothing (CVE-2023-2253). With `sealed`, `last` may be something whose name nobody is to know.
 *
 * @throws {RegistryError} PAGINATION_INVALID
 */
export function parsePage(query: URLSearchParams, max: number, sealed?: SealedNames): PageQuery {
  const n = query.get('n') ?? ''
  if (n !== '' && !/^\d+$/.test(n)) throw invalid('n', 'must be a whole number, 0 or more', n)
  const limit = n === '' ? max : Math.min(Number(n), max)
  const last = query.get('last') ?? ''
  if (sealed?.isSealed(last)) {
    const after = sealed.open(last)
    if (after === undefined) throw invalid('last', 'is of another list or too old: begin at the first page', last)
    return { limit, after }
  }
  if (last.length > maxLastLength || last.includes('\0')) throw invalid('last', 'must be the last item of a page', last)
  return last === '' ? { limit } : { limit, after: last }
}

function invalid(parameter: string, rule: string, value: string): RegistryError {
  return new RegistryError('PAGINATION_INVALID', {
    message: `invalid pagination parameter ${parameter}: ${rule}`,
    detail: { [parameter]: value.slice(0, maxLastLength) }
  })
}

/** `Link` to the next page (RFC 8288). Relative, whatever `Location` is, as in distribution. */
export function nextLink(path: string, next: string, limit: number, extra?: Record<string, string>): string {
  const query = new URLSearchParams({ last: next, n: String(limit), ...extra })
  return `<${path}?${query}>; rel="next"`
}
