import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { TokenRecord } from './ports.ts'

/** What a token begins with, so that people and secret scanners know it wherever it turns up. */
export const prefixes = { access: 'pinnace_', refresh: 'pinnacer_' } as const satisfies Record<
  TokenRecord['kind'],
  string
>

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** 160 bits, and the digits they take. */
const secretBytes = 20
const secretDigits = 27
/** CRC-32 of everything before it. */
const checksumDigits = 6
const form = /^(pinnacer?_)[0-9A-Za-z]{33}$/

/** A new secret of 160 random bits: prefix, 27 digits of base 62, and a checksum of 6. */
export function createSecret(kind: TokenRecord['kind']): string {
  const body = prefixes[kind] + base62(BigInt(`0x${randomBytes(secretBytes).toString('hex')}`), secretDigits)
  return body + checksum(body)
}

/** What kind of token a text is by its form alone; `undefined` for one that no Pinnace ever made. */
export function kindOfSecret(text: string): TokenRecord['kind'] | undefined {
  const prefix = form.exec(text)?.[1]
  if (prefix === undefined || !text.endsWith(checksum(text.slice(0, -checksumDigits)))) return undefined
  return prefix === prefixes.access ? 'access' : 'refresh'
}

/** Names a token in lists and logs: 60 random bits. */
export function createTokenId(): string {
  return base62(BigInt(`0x${randomBytes(8).toString('hex')}`) >> 4n, 11)
}

function checksum(body: string): string {
  return base62(BigInt(crc32(body)), checksumDigits)
}

function base62(value: bigint, length: number): string {
  let text = ''
  for (let rest = value; rest > 0n; rest /= 62n) text = (digits[Number(rest % 62n)] ?? '') + text
  return text.padStart(length, '0')
}
