import { describe, expect, it, test } from 'vitest'
import { loadConfig, printConfig } from '../../src/config.ts'
import { home, loadText, problemsOf, shortWarnings } from './fixture.ts'

const subjects = 'write anonymous, user, user:NAME, group:NAME, token, token:NAME, peer or peer:ID'
const htpasswd = 'auth: {htpasswd: {path: /p}}'
const token = 'realm: "https://a.example/token", service: s, issuer: i'
const passwordFile =
  'auth.htpasswd.path is missing; write the path of the htpasswd file, made with htpasswd -B -c FILE USER'

function rule(subject: string, repositories = 'team/**', actions = '[pull]'): string {
  return `access: [{subject: ${subject}, repositories: ${repositories}, actions: ${actions}}]`
}

describe('one thing wrong', () => {
  it.each([
    [
      'access: closed',
      'access: "closed" is not open or a list of rules; write open, or a list of rules such as [{subject: user, repositories: team/**, actions: [pull, push]}]'
    ],
    [rule('users'), `access[0].subject[0]: "users" is no subject; ${subjects}`],
    [rule('"usr:a"'), `access[0].subject[0]: "usr:a" is no subject; ${subjects}`],
    [rule('"__proto__:a"'), `access[0].subject[0]: "__proto__:a" is no subject; ${subjects}`],
    [rule('"anonymous:x"'), 'access[0].subject[0]: "anonymous:x": anonymous has no names; write anonymous alone'],
    [rule('group'), 'access[0].subject[0]: group names no group; write group:NAME'],
    [
      rule('"user:"'),
      'access[0].subject[0]: "user:" names no user; write user:NAME as the file of users has it, at most 255 characters'
    ],
    [
      rule('"token:a b"'),
      'access[0].subject[0]: "token:a b" names no token; write its name as "pinnace token ls" shows it, such as token:ci'
    ],
    [
      rule('"peer:12D3"'),
      'access[0].subject[0]: "peer:12D3" names no peer; write its ID as "pinnace id" shows it, such as peer:12D3KooW…'
    ],
    [rule('[]'), 'access[0].subject: an empty list is not a list; write its entries in [ ]'],
    [
      rule('user', 'Team/x'),
      'access[0].repositories[0]: "Team/x" can match no repository; write a name in lower case such as team/app, with * for a part of a component or ** for any number of components'
    ],
    [
      rule('user', 'team**'),
      'access[0].repositories[0]: "team**": ** must be a whole component, as in team/** or **/app; within a component write *'
    ],
    [rule('user', '**'), 'this alias names no anchor; a text that begins with * needs quotes, such as "**"'],
    [
      rule('user', 'a', '[pull, write]'),
      'access[0].actions[1]: "write" is not an action; write pull, push, create, delete, fetch, admin'
    ],
    ['access: [{subject: user, repositories: a}]', 'access[0].actions is missing; write its entries in [ ]'],
    [
      'access: [{subject: user, repositories: a, actions: [], subjects: [pull]}]',
      'access[0].subjects is not a key of the configuration; the nearest is access[].subject'
    ],
    ['access: [user]', 'access[0]: "user" is not a section; write its keys under it'],
    [
      `${htpasswd}\n${rule('"group:dev"')}`,
      'access[0].subject: "group:dev" is a group, and nothing says who is in it; set auth.htpasswd.groups to a file'
    ],
    [
      `${htpasswd}\naccess: open`,
      'access: open lets everybody do everything, so that auth.htpasswd protects nothing; remove one of the two'
    ],
    ['auth: htpasswd', passwordFile],
    ['auth: {htpasswd:}', passwordFile],
    ['auth: {htpasswd: {realm: r}}', passwordFile],
    [
      'auth: {htpasswd: {path: /p, realm: "a\\"b"}}',
      'auth.htpasswd.realm: "a\\"b" is not a name; write one in ASCII without " and \\'
    ],
    [
      `auth: {htpasswd: {path: /p}, token: {${token}, jwks: /j}}`,
      'auth: both htpasswd and token are given; write one, the other would be passed over'
    ],
    [
      'auth: {token: {service: s, issuer: i, jwks: /j}}',
      'auth.token: realm is missing; write the URL of the token server, or autoredirect: true'
    ],
    [
      `auth: {token: {${token}}}`,
      'auth.token: no key is trusted; set jwks or rootcertbundle to the file with those of the token server'
    ],
    [
      `auth: {token: {${token}, jwks: /j, signingalgorithms: [none]}}`,
      'auth.token.signingalgorithms[0]: "none" is not a signing algorithm; write EdDSA, HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512'
    ],
    [
      'immutable: [{repositories: a, tags: [a/b]}]',
      'immutable[0].tags[0]: "a/b" is not a tag pattern; write a tag with * for any characters, such as v*'
    ]
  ])('%j', async (text, problem) => {
    const problems = await problemsOf(loadText(`version: 0.1\n${text}\n`))
    expect(problems.map(each => each.replace(/^config\.yml:[23]: /, ''))).toEqual([problem])
  })

  it('has the line of its entry', async () => {
    const text = `version: 0.1
access:
  - subject: user
    repositories: team/**
    actions: [pull]
  - subject:
      - anonymous
      - nobody
    repositories: "**"
    actions: [pull]
`
    expect(await problemsOf(loadText(text))).toEqual([
      `config.yml:8: access[1].subject[1]: "nobody" is no subject; ${subjects}`
    ])
  })
})

describe("distribution's auth", () => {
  it('htpasswd, as its documentation has it', async () => {
    const { config } = await loadText('version: 0.1\nauth: {htpasswd: {realm: basic-realm, path: /etc/htpasswd}}\n')
    expect(config.auth).toEqual({ htpasswd: { realm: 'basic-realm', path: '/etc/htpasswd' } })
  })

  it('htpasswd by variables, as its images are started', async () => {
    const environment = {
      ...home,
      REGISTRY_AUTH: 'htpasswd',
      REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
      REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd'
    }
    const { config } = await loadConfig({ environment })
    expect(config.auth).toEqual({ htpasswd: { realm: 'Registry Realm', path: '/auth/htpasswd' } })
  })

  it('token, with its defaults', async () => {
    const { config } = await loadText(
      `version: 0.1\nauth: {token: {${token}, rootcertbundle: /c, autoredirect: yes}}\n`
    )
    expect(config.auth.token).toMatchObject({
      realm: 'https://a.example/token',
      rootcertbundle: '/c',
      autoredirect: true,
      autoredirectpath: '/auth/token/'
    })
    expect(config.auth.token?.signingalgorithms).toHaveLength(13)
  })

  it.each(['auth:', 'auth: {}'])('%j: none', async text => {
    const loaded = await loadText(`version: 0.1\n${text}\n`)
    expect(loaded.config.auth).toEqual({})
    expect(shortWarnings(loaded)).toEqual(['config.yml:2: auth has nothing under it, as if it were not there'])
  })

  it('an empty variable takes one away', async () => {
    const both = `version: 0.1\nauth: {htpasswd: {path: /p}, token: {${token}, jwks: /j}}\n`
    expect((await loadText(both, { REGISTRY_AUTH_HTPASSWD: '' })).config.auth).not.toHaveProperty('htpasswd')
    expect((await loadText(both, { REGISTRY_AUTH: '' })).config.auth).toEqual({})
  })
})

describe('access by variables', () => {
  const rules = [{ subject: ['anonymous'], repositories: ['public/**'], actions: ['pull'] }]

  it.each([
    [{ REGISTRY_ACCESS: 'open' }, 'open'],
    [{ REGISTRY_ACCESS: '[{subject: anonymous, repositories: public/**, actions: pull}]' }, rules],
    [
      {
        REGISTRY_ACCESS_0_SUBJECT: 'anonymous',
        REGISTRY_ACCESS_0_REPOSITORIES: 'public/**',
        REGISTRY_ACCESS_0_ACTIONS: 'pull'
      },
      rules
    ],
    [{ REGISTRY_ACCESS: '' }, undefined]
  ])('%j', async (environment, expected) => {
    const { config } = await loadConfig({ environment: { ...home, ...environment } })
    expect(config.access).toEqual(expected)
    const again = await loadText(printConfig(config))
    expect(again.config.access).toEqual(expected)
  })

  it('a rule is added to those of the file', async () => {
    const { config } = await loadText(`version: 0.1\n${rule('token')}\n`, {
      REGISTRY_ACCESS_1: '{subject: token, repositories: "**", actions: []}'
    })
    expect(config.access).toHaveLength(2)
  })
})

describe('advice', () => {
  const elsewhere = 'http: {addr: ":5000"}'
  const tls = 'http: {addr: ":5000", tls: {certificate: /c, key: /k}}'

  it.each<[string, RegExp[]]>([
    ['', []],
    [htpasswd, []],
    ['access: open', []],
    [
      elsewhere,
      [
        /^http\.addr :5000: other machines reach this node .* push and pull; delete, fetch and admin are off.* access: open/
      ]
    ],
    ['access:', [/config\.yml:2: access has nothing under it, as if it were not there/]],
    ['http: {host: "https://r.example.org"}', [/^http\.host https:\/\/r\.example\.org: other machines reach/]],
    ['http: {hosts: ["*.localhost", r.example.org]}', [/^http\.hosts r\.example\.org: other machines reach this node/]],
    ['http: {host: "http://[::1]:5005", hosts: [localhost, 127.0.0.2, app.localhost]}', []],
    ['http: {trustproxy: loopback}', [/^http\.trustproxy: other machines reach this node .* admin are off/]],
    [`http: {trustproxy: loopback}\n${htpasswd}`, []],
    [`${elsewhere}\naccess: open`, [/with access: open, whoever reaches it can push, pull, delete and administer/]],
    [`${tls}\n${htpasswd}`, []],
    [`${elsewhere}\n${htpasswd}`, [/speaks plain HTTP: passwords and tokens can be read on their way/]],
    [`${elsewhere}\naccess: []`, [/speaks plain HTTP: passwords and tokens/]],
    [`${elsewhere}\nauth: {token: {${token}, jwks: /j}}`, [/speaks plain HTTP: passwords and tokens/]],
    [`${tls}\naccess: []`, []],
    [
      rule('"user:a"'),
      [/access\[0\]\.subject: "user:a" has no effect, since there are no users without auth\.htpasswd/]
    ],
    [
      `auth: {token: {${token}, jwks: /j}}\n${rule('[token, user]')}`,
      [/access\[0\]\.subject\[1\]: "user" has no effect/]
    ],
    [
      rule('peer'),
      [/access\[0\]\.subject: "peer" has no effect yet, since by IPFS every peer gets what anonymous may/]
    ],
    [rule('anonymous', '"**"', '[admin]'), [/access\[0\] gives anonymous admin of everything/]]
  ])('%j', async (text, expected) => {
    const warnings = shortWarnings(await loadText(`version: 0.1\n${text}\n`))
    expect(warnings).toHaveLength(expected.length)
    for (const [at, pattern] of expected.entries()) expect(warnings[at]).toMatch(pattern)
  })
})

test('a subject may be any of its kinds', async () => {
  const peer = 'peer:12D3KooWGQ5vNKCbs5cVJQ4SPZTvrfyRhhdZ8gqs3XzXQ6PDpTDk'
  const all = ['anonymous', 'user', 'user:ada@example.com', 'group:dev', 'token', 'token:ci-1', 'peer', peer]
  const text = `version: 0.1\nauth: {htpasswd: {path: /p, groups: /g}}\n${rule(JSON.stringify(all))}\n`
  expect((await loadText(text)).config.access).toMatchObject([{ subject: all }])
})
