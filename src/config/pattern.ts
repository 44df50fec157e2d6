/**
 * Compiles a pattern of `validation.manifests.urls`. Distribution's are RE2; what both languages spell alike is taken,
 * with a leading `(?i)`. Unicode mode makes JavaScript refuse what it would silently read otherwise (`\A`, `\z`).
 *
 * @throws {SyntaxError}
 */
export function compilePattern(text: string): RegExp {
  const insensitive = text.startsWith('(?i)')
  return new RegExp(insensitive ? text.slice(4) : text, insensitive ? 'iu' : 'u')
}

export function isPattern(text: string): boolean {
  try {
    compilePattern(text)
    return true
  } catch {
    return false
  }
}
