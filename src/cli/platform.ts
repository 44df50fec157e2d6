/** `linux/arm64/v8`, from an index's `platform` object, which is whatever the pusher wrote. */
export function showPlatform(platform: unknown): string {
  if (typeof platform !== 'object' || platform === null) return '-'
  const parts: Record<string, unknown> = { ...platform }
  return [parts.os, parts.architecture, parts.variant].filter(part => typeof part === 'string').join('/') || '-'
}
