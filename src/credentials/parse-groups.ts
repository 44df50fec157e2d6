import { InvalidText } from './credential-file.ts'
import { linesOf } from './parse-htpasswd.ts'

const mostMembers = 1_000_000

/**
 * Groups of each user from the text of an Apache `AuthGroupFile`: `dev: alice bob`. A group may have several lines.
 *
 * @throws {InvalidText} naming the line
 */
export function parseGroups(text: string): Map<string, string[]> {
  const groups = new Map<string, Set<string>>()
  let members = 0
  for (const [line, entry] of linesOf(text)) {
    const colon = entry.indexOf(':')
    if (colon < 0) throw new InvalidText('no colon: a line is GROUP: USER USER …', line)
    const group = entry.slice(0, colon).trimEnd()
    if (!/^[^\s:,]{1,255}$/.test(group)) throw new InvalidText('the group name is empty, long, or has spaces', line)
    for (const user of entry.slice(colon + 1).split(/\s+/)) {
      if (user === '') continue
      if (++members > mostMembers) throw new InvalidText(`more than ${mostMembers} members`, line)
      groups.set(user, (groups.get(user) ?? new Set()).add(group))
    }
  }
  return new Map([...groups].map(([user, names]) => [user, [...names]]))
}
