import { expect, it } from 'vitest'
import { changedKeys } from '../../src/config.ts'
import { loadText } from './fixture.ts'

const load = async (text: string) => (await loadText(`version: 0.1\n${text}\n`)).config

it.each([
  ['', '', []],
  ['http: {addr: "127.0.0.1:1"}', 'http: {addr: "127.0.0.1:2"}', ['http.addr']],
  ['log: {level: debug}', 'http: {prefix: /r/}', ['log.level', 'http.prefix']],
  ['', 'access: open', ['access']],
  ['access: []', 'access: [{subject: user, repositories: a, actions: []}]', ['access']],
  ['auth: {htpasswd: {realm: a, path: /p}}', 'auth: {htpasswd: {realm: a, path: /q}}', ['auth.htpasswd.path']],
  ['auth: {htpasswd: {path: /p}}', '', ['auth.htpasswd']]
])('%j then %j: %j', async (before, after, keys) => {
  expect(changedKeys(await load(before), await load(after)).toSorted()).toEqual(keys.toSorted())
})
