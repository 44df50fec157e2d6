import { type Finding, finding } from './finding.ts'
import type { Config } from './schema.ts'

type Headers = Config['http']['headers']

/** Headers that frame a message or belong to one connection: set by the operator they would break every response. */
const framing = new Set(['connection', 'content-length', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/** What is wrong with `http.headers`. */
export function* checkHeaders(headers: Headers): Generator<Finding> {
  for (const name of Object.keys(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
      yield findingOf(name, 'not a header name; write one such as X-Frame-Options')
    } else if (framing.has(name.toLowerCase())) {
      yield findingOf(name, 'the server sets this header itself; remove it')
    }
  }
  yield* checkSharing(headers)
}

/**
 * Every page in the world, with the credentials that the visitor's browser holds for this registry. Browsers refuse `*`
 * together with credentials; `null` is what a page in a sandboxed frame says, whoever wrote it.
 */
function* checkSharing(headers: Headers): Generator<Finding> {
  const named = (wanted: string) => Object.entries(headers).filter(([name]) => name.toLowerCase() === wanted)
  const everybody = named('access-control-allow-origin')
    .flatMap(([, values]) => values)
    .find(value => /^(?:\*|null)$/i.test(value.trim()))
  if (everybody === undefined) return
  for (const [name, values] of named('access-control-allow-credentials')) {
    if (values.every(value => value.trim() === 'false')) continue
    const sharing = `together with Access-Control-Allow-Origin: ${everybody.trim()} it lets every web page act as whoever visits it`
    yield findingOf(name, `${sharing}; remove it, or name the origins one by one`)
  }
}

function findingOf(name: string, rest: string): Finding {
  return finding(`/http/headers/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, `http.headers.${name}`, rest)
}
