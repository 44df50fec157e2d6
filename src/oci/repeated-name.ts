const quote = 0x22
const backslash = 0x5c
const colon = 0x3a

/**
 * The first name that one object of a JSON document has twice, escapes resolved; `undefined` when there is none.
 *
 * RFC 8259, section 4 leaves open what such an object means, and parsers differ: the first counts, the last counts, or
 * both are merged. `JSON.parse` cannot tell, so the text is read once more.
 *
 * @param text a document that `JSON.parse` has accepted.
 */
export function repeatedName(text: string): string | undefined {
  // One entry an open bracket: the names of an object so far, `undefined` for a list.
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < text.length; at++) {
    const symbol = text[at]
    if (symbol === '{') open.push(new Set())
    else if (symbol === '[') open.push(undefined)
    else if (symbol === '}' || symbol === ']') open.pop()
    else if (symbol === '"') {
      const end = endOfString(text, at)
      if (isName(text, end)) {
        const name = contentOf(text.slice(at, end))
        const names = open.at(-1)
        if (names?.has(name)) return name
        names?.add(name)
      }
      at = end - 1
    }
  }
  return undefined
}

/** Behind the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === backslash) at++
    else if (code === quote) return at + 1
  }
  return text.length
}

/** Whether a colon follows, behind white space. */
function isName(text: string, end: number): boolean {
  let at = end
  while (text.charCodeAt(at) <= 0x20) at++
  return text.charCodeAt(at) === colon
}

function contentOf(literal: string): string {
  return literal.includes('\\') ? String(JSON.parse(literal)) : literal.slice(1, -1)
}
