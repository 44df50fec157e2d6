import { describe, expect, it, test } from 'vitest'
import { type Action, actions, wholeNode } from '../../src/access/authorize.ts'
import { anonymous, operator, type Subject } from '../../src/access/subject.ts'
import { renderReference } from '../../src/config.ts'
import { NodeAccess, tokenAdvice } from '../../src/node/access.ts'
import { loadText } from '../config/fixture.ts'

const alice: Subject = { kind: 'user', name: 'alice', groups: ['dev'] }
const everything = [...actions]

async function accessBy(text: string) {
  return new NodeAccess((await loadText(`version: 0.1\n${text}\n`)).config)
}

async function rightsBy(text: string, subject: Subject, repository = 'team/app'): Promise<Action[]> {
  const { authorize } = await accessBy(text)
  return actions.filter(action => authorize(subject, action, repository))
}

const users = 'auth: {htpasswd: {path: /p, groups: /g}}'
const elsewhere = 'http: {addr: ":5005"}'

describe('who may do what', () => {
  it.each<[string, Subject, Action[]]>([
    ['', anonymous, everything],
    ['http: {addr: "localhost:1"}', anonymous, everything],
    ['http: {addr: /run/x.sock, net: unix}', anonymous, everything],
    [elsewhere, anonymous, ['pull', 'push', 'create']],
    ['http: {addr: ["127.0.0.1:1", "192.0.2.1:1"]}', anonymous, ['pull', 'push', 'create']],
    ['http: {host: "https://r.example.org"}', anonymous, ['pull', 'push', 'create']],
    ['http: {host: "http://localhost:5005"}', anonymous, everything],
    ['http: {trustproxy: loopback}', anonymous, ['pull', 'push', 'create']],
    [`${elsewhere}\naccess: open`, anonymous, everything],
    [elsewhere, operator, everything],
    [users, anonymous, []],
    [users, alice, ['pull', 'push', 'create']],
    [users, { kind: 'peer', id: '12D3' }, []],
    [users, operator, everything],
    ['access: []', anonymous, []],
    ['access: []', operator, everything]
  ])('%j', async (text, subject, expected) => {
    expect(await rightsBy(text, subject)).toEqual(expected)
  })

  it('by every subject and every pattern of a rule', async () => {
    const text = `${users}
access:
  - {subject: ["group:dev", "token:ci"], repositories: [team/**, "*/base"], actions: [pull, push]}
  - {subject: anonymous, repositories: public/**, actions: pull}
  - {subject: user:alice, repositories: team/secret, actions: []}
`
    const ci: Subject = { kind: 'token', id: '1', name: 'ci', grants: [] }
    for (const subject of [alice, ci]) {
      expect(await rightsBy(text, subject, 'team/app')).toEqual(['pull', 'push', 'create'])
      expect(await rightsBy(text, subject, 'x/base')).toEqual(['pull', 'push', 'create'])
      expect(await rightsBy(text, subject, 'other')).toEqual([])
      expect(await rightsBy(text, subject, 'public/app')).toEqual(['pull'])
    }
    expect(await rightsBy(text, alice, 'team/secret')).toEqual([])
    expect((await accessBy(text)).reach(anonymous, 'pull')).toEqual(['public'])
    expect((await accessBy(text)).reach(alice, 'delete')).toEqual([])
    expect(await rightsBy(text, alice, wholeNode)).toEqual([])
  })

  it('says how to turn on what is off where nobody is asked', async () => {
    expect((await accessBy(elsewhere)).openHint()).toMatch(/delete, fetch and admin are off.*access: open/)
    for (const text of ['', users, `${elsewhere}\naccess: open`])
      expect((await accessBy(text)).openHint()).toBeUndefined()
  })
})

test('immutable tags, by every pattern of a rule', async () => {
  const { immutable } = await accessBy('immutable: [{repositories: [team/**, lib], tags: [v*, stable]}]')
  expect(immutable('team/a', 'v1')).toMatchObject({ tags: 'v*' })
  expect(immutable('lib', 'stable')).toMatchObject({ tags: 'stable' })
  expect(immutable('lib', 'latest')).toBeUndefined()
  expect(immutable('other', 'v1')).toBeUndefined()
})

test('tokens that nobody is asked for are told of', async () => {
  const adviceBy = async (text: string, count: number) =>
    tokenAdvice((await loadText(`version: 0.1\n${text}\n`)).config, count)
  expect(await adviceBy('', 2)).toMatch(/tokens \(2\), and nobody is asked for one/)
  expect(await adviceBy('access: open', 1)).toMatch(/nobody is asked/)
  for (const text of [users, 'access: []']) expect(await adviceBy(text, 2)).toBeUndefined()
  expect(await adviceBy('', 0)).toBeUndefined()
})

test('the example of docs/configuration.md does what is said below it', async () => {
  const example = /```yaml\n(auth:[^`]+)```/.exec(renderReference())?.[1] ?? ''
  const bob: Subject = { kind: 'user', name: 'bob', groups: ['dev'] }
  expect(await rightsBy(example, anonymous, 'public/x')).toEqual(['pull'])
  expect(await rightsBy(example, anonymous, 'team/app')).toEqual([])
  expect(await rightsBy(example, bob, 'team/app')).toEqual(['pull', 'push', 'create'])
  expect(await rightsBy(example, bob, 'team/releases')).toEqual(['pull', 'create'])
  expect(await rightsBy(example, bob, 'other')).toEqual(['pull'])
  expect(await rightsBy(example, alice, 'team/releases')).toEqual(everything)
  expect((await accessBy(example)).immutable('team/app', 'v1.0')).toBeDefined()
})
