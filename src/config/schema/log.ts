import { Type } from '@sinclair/typebox'
import { choice, flag, section } from '../fields.ts'

const field = Type.Union([Type.String(), Type.Number(), Type.Boolean()], {
  noun: 'a field',
  write: 'a text, number or boolean'
})

export const log = section('What the node writes to standard output.', {
  level: choice('log level', ['error', 'warn', 'info', 'debug'], {
    default: 'info',
    description: 'The least severe messages that are written.'
  }),
  formatter: choice('log format', ['text', 'json', 'logstash'], {
    default: 'text',
    description:
      'One line a message: `text` for people, `json` for programs, `logstash` for JSON with `@timestamp` and `@version`.'
  }),
  fields: Type.Record(Type.String(), field, {
    default: {},
    description: 'Fields added to every message, e.g. `service: registry`.',
    noun: 'a section',
    write: 'keys and values under it'
  }),
  accesslog: section('One line a request.', {
    disabled: flag({ default: false, description: 'Leave out the line that each request gets at level `info`.' })
  })
})
