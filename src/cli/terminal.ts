import type { Writable } from 'node:stream'
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Where text goes: a terminal, a pipe or a file. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** Where a command reads and writes. Results go to `out`; progress, questions and complaints to `err`. */
export interface Terminal {
  out: Output
  err: Output
  in: NodeJS.ReadStream
}

export function standardTerminal(): Terminal {
  return { out: process.stdout, err: process.stderr, in: process.stdin }
}

/** Colours only where a person looks: honours `NO_COLOR`, `FORCE_COLOR` and a stream that is no terminal. */
export function paint(stream: Output, style: Style, text: string): string {
  return styleText(style, text, { stream })
}

/** Text from outside, made safe to show: control characters would let a repository's metadata drive the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this removes
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '\ufffd')
}

/** `1.5 GiB`: binary units, three digits. */
export function showBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${units[unit]}`
}

/** `3 days`, `5 hours`, `1 minute`: whole units, the largest that fits. */
export function showAge(milliseconds: number): string {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000))
  if (minutes < 60) return count(minutes, 'minute')
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? count(hours, 'hour') : count(Math.floor(hours / 24), 'day')
}

/** `1 blob`, `2 blobs`, `3 repositories`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}
