import type { Page, PageRequest } from './registry.ts'

/**
 * Items and bytes of a list that one request looks at: whoever may see, or asks for, only little of a long list must not
 * make the node read all of it. A page that ends here is short, even empty, and says how to go on.
 */
export const maxLooks = 5_000
export const maxLookedBytes = 16 * 1024 * 1024

export interface Listing<S, T> {
  /** What `after` of the next page would be behind this item. */
  key(item: S): string
  value(item: S): T
  /** Whether it belongs into the list at all. Default: every item does. */
  wanted?(item: S): boolean
  /** Bytes, of items that have no small bound. */
  size?(item: S): number
  /** Items to look at. Default {@link maxLooks}. */
  looks?: number
}

/** The page of a list that such a request gets; `maxBytes` is passed by its first item at most. */
export async function pageOf<S, T>(
  items: AsyncIterable<S>,
  { limit, maxBytes = Number.POSITIVE_INFINITY }: Pick<PageRequest, 'limit' | 'maxBytes'>,
  { key, value, wanted = () => true, size = () => 0, looks = maxLooks }: Listing<S, T>
): Promise<Page<T>> {
  const page: T[] = []
  if (limit <= 0) return { items: page }
  // Whoever may ask for so many may have them looked at.
  const most = Math.max(looks, limit + 1)
  let last = ''
  let looked = { key: '', items: 0, bytes: 0 }
  let bytes = 0
  for await (const item of items) {
    if (looked.items >= most || looked.bytes >= maxLookedBytes) return { items: page, next: looked.key }
    const length = size(item)
    looked = { key: key(item), items: looked.items + 1, bytes: looked.bytes + length }
    if (!wanted(item)) continue
    if (page.length === limit || (page.length > 0 && bytes + length > maxBytes)) return { items: page, next: last }
    page.push(value(item))
    bytes += length
    last = looked.key
  }
  return { items: page }
}
