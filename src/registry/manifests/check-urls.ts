import { RegistryError } from '../../errors.ts'

/**
 * distribution's `validation.manifests.urls`: a descriptor's `urls` must match one of `allow` (when there are any) and none
 * of `deny`.
 *
 * @throws {RegistryError} MANIFEST_INVALID
 */
export function checkUrls(
  rules: { allow: readonly RegExp[]; deny: readonly RegExp[] } | undefined,
  bytes: Uint8Array
): void {
  if (rules === undefined || (rules.allow.length === 0 && rules.deny.length === 0)) return
  for (const url of urlsOf(JSON.parse(Buffer.from(bytes).toString('utf8')))) {
    const allowed = rules.allow.length === 0 || rules.allow.some(pattern => pattern.test(url))
    if (allowed && !rules.deny.some(pattern => pattern.test(url))) continue
    throw new RegistryError('MANIFEST_INVALID', {
      message: 'a descriptor has a URL that this registry does not allow',
      detail: { url }
    })
  }
}

function* urlsOf(manifest: unknown): Generator<string> {
  if (typeof manifest !== 'object' || manifest === null) return
  for (const field of ['layers', 'manifests', 'blobs'] as const) {
    const list: unknown = Reflect.get(manifest, field)
    if (!Array.isArray(list)) continue
    for (const entry of list) {
      const urls: unknown = typeof entry === 'object' && entry !== null ? Reflect.get(entry, 'urls') : undefined
      if (Array.isArray(urls)) for (const url of urls) if (typeof url === 'string') yield url
    }
  }
}
