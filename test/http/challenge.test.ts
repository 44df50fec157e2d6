import { IncomingMessage, validateHeaderValue } from 'node:http'
import { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { createChallenges } from '../../src/http/challenge.ts'
import { createLocations } from '../../src/http/location.ts'
import { createClientOf } from '../../src/http/source.ts'

const scopes = [
  { type: 'repository', name: 'a/b', actions: ['pull', 'push'] },
  { type: 'repository', name: 'c', actions: ['pull'] }
]

function requestTo(host: string): IncomingMessage {
  const request = new IncomingMessage(new Socket())
  request.headers.host = host
  return request
}

const locations = (init: Parameters<typeof createLocations>[1] = {}) =>
  createLocations({ clientOf: createClientOf() }, init)

it('names a realm of this node, of another, or a path at whatever host was asked', () => {
  const of = (init: { realm?: string; realmPath?: string }, at = locations({ prefix: '/r' })) =>
    createChallenges({ service: 's', ...init }, at).bearer(requestTo('reg.example:1'), [])
  expect(of({})).toBe('Bearer realm="http://reg.example:1/r/token",service="s"')
  expect(of({ realm: 'https://auth.example/t?x=1' })).toBe('Bearer realm="https://auth.example/t?x=1",service="s"')
  expect(of({ realmPath: '/auth/token' })).toBe('Bearer realm="http://reg.example:1/auth/token",service="s"')
  const elsewhere = locations({ host: 'https://pub.example/x' })
  expect(of({ realmPath: '/auth/token' }, elsewhere)).toBe('Bearer realm="https://pub.example/auth/token",service="s"')
})

it('names scopes and the error as RFC 6750 has them', () => {
  const { bearer } = createChallenges({ service: 's' }, locations())
  expect(bearer(requestTo('h'), scopes, 'insufficient_scope')).toBe(
    'Bearer realm="http://h/token",service="s",scope="repository:a/b:pull,push repository:c:pull",error="insufficient_scope"'
  )
})

it('names a realm beyond ASCII as HTTP can carry it', () => {
  const { basic, bearer } = createChallenges(
    { realm: 'https://тест.example/tökén?a=ж', service: 'Büro ж' },
    locations()
  )
  expect(bearer(requestTo('h'), [])).toBe(
    'Bearer realm="https://xn--e1aybc.example/t%C3%B6k%C3%A9n?a=%D0%B6",service="Bro "'
  )
  for (const header of [basic, bearer(requestTo('h'), [])]) expect(() => validateHeaderValue('x', header)).not.toThrow()
})

it('is one header, whatever the service is called', () => {
  const { basic, bearer } = createChallenges({ service: 'a "b" \\ c\r\nSet-Cookie: x' }, locations())
  expect(basic).toBe('Basic realm="a \\"b\\" \\\\ cSet-Cookie: x", charset="UTF-8"')
  expect(bearer(requestTo('h'), [])).not.toMatch(/[\r\n]/)
})

it('of a host that is none is where the connection ends', () => {
  const { bearer } = createChallenges({ service: 's' }, locations())
  expect(bearer(requestTo('a"b'), [])).toMatch(/^Bearer realm="http:\/\/localhost\/token",/)
})
