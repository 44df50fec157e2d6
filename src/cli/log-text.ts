import { inspect } from 'node:util'
import { type Output, paint } from './terminal.ts'

const colours = { trace: 'dim', debug: 'dim', info: 'green', warn: 'yellow', error: 'red', fatal: 'red' } as const

/**
 * One message of pino's, for people. On a terminal `10:44:54 info  message key=value`; elsewhere logfmt, as distribution
 * writes it: `time="…" level=info msg="…" key=value`. An error keeps its causes, and its stack where it is fatal.
 *
 * @param line a JSON object ending in a line break
 */
export function textLine(line: string, out: Output): string {
  const { level, time, msg, err, stack, ...fields } = readRecord(line)
  const pairs = Object.entries(fields)
  if (err !== undefined) pairs.push(['err', errorText(err, level === 'fatal')])
  if (stack !== undefined) pairs.push(['stack', stack])
  const rest = pairs.map(([key, value]) => `${paint(out, 'dim', `${key}=`)}${quoted(value)}`)
  if (!out.isTTY) {
    return `${[`time="${String(time)}"`, `level=${String(level)}`, `msg=${JSON.stringify(msg ?? '')}`, ...rest].join(' ')}\n`
  }
  const name = String(level)
  const colour = name in colours ? colours[name as keyof typeof colours] : 'reset'
  const clock = paint(out, 'dim', String(time).slice(11, 19))
  return `${[clock, paint(out, colour, name.padEnd(5)), clean(String(msg ?? '')), ...rest].join(' ')}\n`
}

function readRecord(line: string): Record<string, unknown> {
  const value: unknown = JSON.parse(line)
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? inspect(value))
  return /^[\w./:@+,-]+$/.test(text) ? text : JSON.stringify(text)
}

function errorText(err: unknown, withStack: boolean): string {
  if (typeof err !== 'object' || err === null) return String(err)
  if (withStack && 'stack' in err) return String(err.stack)
  return 'message' in err ? String(err.message) : JSON.stringify(err)
}

/** A message is one line, and never drives the terminal. */
function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this removes
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
}
