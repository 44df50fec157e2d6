import { type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino'
import type { Config } from '../config/schema.ts'
import { textLine } from './log-text.ts'
import type { Output } from './terminal.ts'

/** Where no message may ever carry a credential, whoever wrote it. */
const credentials = ['', '*.', '*.headers.'].flatMap(where => [
  `${where}authorization`,
  `${where}cookie`,
  `${where.replace(/\.$/, '')}["proxy-authorization"]`,
  `${where.replace(/\.$/, '')}["set-cookie"]`
])

/**
 * The node's log, one line a message, written before the call returns so that the last words of a dying process are
 * kept.
 *
 * @param out where to; colours only if it is a terminal
 */
export function createLog(config: Config['log'], out: Output): Logger {
  return pino(optionsFor(config), { write: writer(config.formatter, out) })
}

function optionsFor(config: Config['log']): LoggerOptions {
  const common: LoggerOptions = {
    level: config.level,
    base: { ...config.fields },
    redact: { paths: credentials, censor: '[redacted]' },
    formatters: { level: label => ({ level: label }) },
    timestamp: stdTimeFunctions.isoTime
  }
  if (config.formatter !== 'logstash') return common
  return {
    ...common,
    base: { '@version': '1', ...config.fields },
    messageKey: 'message',
    timestamp: () => `,"@timestamp":"${new Date().toISOString()}"`
  }
}

function writer(formatter: Config['log']['formatter'], out: Output): (line: string) => void {
  if (formatter !== 'text') return line => void out.write(line)
  return line => void out.write(textLine(line, out))
}
