import { Type } from '@sinclair/typebox'
import { choice, count, flag, path, section, size } from '../fields.ts'

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
  audit: section('Who did what: one JSON object a line in a file of its own.', {
    path: Type.Optional(path({ description: 'The file. Without it there is no audit log.' })),
    size: size({ default: '100MiB', description: 'Size at which the file is put aside as `<path>.1`.' }),
    files: count({ minimum: 1, maximum: 1000, default: 10, description: 'How many that were put aside are kept.' }),
    addresses: flag({ default: true, description: 'Whether addresses of clients are kept.' }),
    pulls: flag({
      default: false,
      description:
        'Whether pulls of what anonymous may not pull are entries too. Pushes, deletions, logins and refusals always are.'
    })
  }),
  accesslog: section('One line a request.', {
    disabled: flag({ default: false, description: 'Leave out the line that each request gets at level `info`.' })
  })
})
