/**
 * Whether a sequence matches a pattern in which some items stand for any number of others. Greedy with one point to
 * return to, so it takes at most `pattern × items` steps, where a regular expression of many stars takes exponentially
 * many.
 *
 * @param isStar - the items of a pattern that match any run, also an empty one
 */
export function matchSequence<P, T>(
  pattern: ArrayLike<P>,
  items: ArrayLike<T>,
  isStar: (item: P | undefined) => boolean,
  fits: (wanted: P | undefined, item: T | undefined) => boolean
): boolean {
  let at = 0
  let star = -1
  let resume = 0
  for (let index = 0; index < items.length; ) {
    if (at < pattern.length && isStar(pattern[at])) {
      star = at++
      resume = index
    } else if (at < pattern.length && fits(pattern[at], items[index])) {
      at++
      index++
    } else if (star < 0) return false
    else {
      at = star + 1
      index = ++resume
    }
  }
  while (at < pattern.length && isStar(pattern[at])) at++
  return at === pattern.length
}

const isAnyText = (character: string | undefined) => character === '*'
const sameCharacter = (wanted: string | undefined, character: string | undefined) => wanted === character

/** `*` in the pattern stands for any characters, also none. */
export function matchText(pattern: string, text: string): boolean {
  return matchSequence(pattern, text, isAnyText, sameCharacter)
}
