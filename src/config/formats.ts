import { isIP } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { FormatRegistry } from '@sinclair/typebox'
import { isTagPattern } from '../access/immutable.ts'
import { isPattern as isRepositoryPattern, wrongPattern } from '../access/pattern.ts'
import { wrongRuleSubject } from '../access/rule-subject.ts'
import { readDuration } from './duration.ts'
import { isPattern } from './pattern.ts'
import { showValue } from './problem.ts'
import { readSize, readSizeOrShare } from './size.ts'

/** Texts with a grammar, by the `format` of their schema. Pure functions; TypeBox knows formats by one table. */
const formats: Record<string, (text: string) => boolean> = {
  'go-duration': text => readDuration(text) !== undefined,
  'byte-size': text => readSize(text) !== undefined,
  'size-or-share': text => readSizeOrShare(text) !== undefined,
  'web-url': isWebUrl,
  'url-path': text => /^\/(?:[\w.~!$&'()*+,;=:@-]+\/)*$/.test(text),
  route: text => /^\/[\w./~-]*$/.test(text),
  multiaddr: isMultiaddr,
  proxy: isProxy,
  'host-pattern': text => text === '*' || isIP(text) !== 0 || /^(?:\*\.)?[\w-]{1,63}(?:\.[\w-]{1,63})*$/.test(text),
  'dns-name': text =>
    isIP(text) === 0 &&
    text.length <= 253 &&
    /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i.test(text),
  'mail-address': text => /^[^\s@<>,;?#]{1,64}@[^\s@<>,;?#]{1,253}$/.test(text),
  pattern: isPattern,
  'repository-pattern': isRepositoryPattern,
  'tag-pattern': isTagPattern,
  'rule-subject': text => wrongRuleSubject(text) === undefined,
  // Stands between quotes in a header (RFC 9110, section 5.6.4).
  quotable: text => /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(text),
  'no-nul': text => !text.includes('\0'),
  path: text => !text.includes('\0') && !beginsAtHome(text),
  'header-value': text => /^[\t\x20-\x7e\x80-\xff]*$/.test(text),
  secret: text => !/[\0\r\n]/.test(text)
}

/** What is wrong with a text and what to write, where the schema's own words would not do. */
const explanations: Record<string, (text: string) => string | undefined> = {
  'go-duration': explainDays,
  path: text =>
    beginsAtHome(text)
      ? `${showValue(text)}: only a shell reads ~ as a home folder; write the whole path, such as /home/ada${text.replace(/^~[^/]*/, '')}`
      : undefined,
  'repository-pattern': text => (isRepositoryPattern(text) ? undefined : wrongPattern(text)),
  'rule-subject': wrongRuleSubject
}

export function explainFormat(format: unknown, value: unknown): string | undefined {
  return typeof format === 'string' && typeof value === 'string' ? explanations[format]?.(value) : undefined
}

for (const [name, check] of Object.entries(formats)) FormatRegistry.Set(name, check)

/** `~`, `~/x`, `~ada/x`. A file whose name begins so can be written as `./~x`. */
function beginsAtHome(text: string): boolean {
  return /^~(?:$|[\w.-]*\/)/.test(text)
}

/** Go has no unit longer than an hour, as days are not all of one length. */
function explainDays(text: string): string | undefined {
  const [, amount, unit] = /^(\d{1,5})([dw])$/i.exec(text.trim()) ?? []
  if (amount === undefined || unit === undefined) return undefined
  const days = Number(amount) * (unit.toLowerCase() === 'w' ? 7 : 1)
  return `${showValue(text)} is not a duration: the longest unit is the hour; write ${days * 24}h`
}

function isWebUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !/^https?:\/\//i.test(text)) return false
  return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}

/** An address, a network, or a word for networks. */
function isProxy(text: string): boolean {
  if (/^(?:loopback|private)$/i.test(text)) return true
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const family = isIP(address)
  if (family === 0 || address.includes('%')) return false
  return (
    slash < 0 || (/^\d{1,3}$/.test(text.slice(slash + 1)) && Number(text.slice(slash + 1)) <= (family === 6 ? 128 : 32))
  )
}

function isMultiaddr(text: string): boolean {
  try {
    return text.startsWith('/') && multiaddr(text).getComponents().length > 0
  } catch {
    return false
  }
}
