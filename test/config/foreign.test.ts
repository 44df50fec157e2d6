import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { home, loadText, problemsOf, shortWarnings } from './fixture.ts'

const ignored = 'is a setting of distribution that Pinnace does not have; ignored'

describe("distribution's settings that Pinnace lacks", () => {
  it.each([
    ['catalog: {maxentries: 1000}', [`config.yml:2: catalog ${ignored}`]],
    ['tags: {maxtags: 10}', [`config.yml:2: tags ${ignored}`]],
    ['redis: {addrs: ["localhost:6379"], password: x}', [`config.yml:2: redis ${ignored}`]],
    [
      'proxy: {remoteurl: "https://registry-1.docker.io", username: u, password: p}',
      [`config.yml:2: proxy ${ignored}`]
    ],
    ['notifications: {endpoints: [{name: a}]}', [`config.yml:2: notifications ${ignored}`]],
    ['middleware: {storage: [{name: redirect}]}', [`config.yml:2: middleware ${ignored}`]],
    ['policy: {repository: {classes: [image]}}', [`config.yml:2: policy ${ignored}`]],
    ['compatibility: {schema1: {enabled: true}}', [`config.yml:2: compatibility ${ignored}`]],
    ['reporting: {bugsnag: {apikey: x}}', [`config.yml:2: reporting ${ignored}`]],
    [
      'log: {hooks: [{type: mail}], reportcaller: true}',
      [`config.yml:2: log.hooks ${ignored}`, `config.yml:2: log.reportcaller ${ignored}`]
    ],
    [
      'http: {http2: {disabled: true}, h2c: {enabled: false}}',
      [`config.yml:2: http.http2 ${ignored}`, `config.yml:2: http.h2c ${ignored}`]
    ],
    [
      'health: {file: [{file: /x}], http: [], tcp: []}',
      [
        `config.yml:2: health.file ${ignored}`,
        `config.yml:2: health.http ${ignored}`,
        `config.yml:2: health.tcp ${ignored}`
      ]
    ],
    [
      'storage: {cache: {blobdescriptor: redis}, tag: {concurrencylimit: 8}}',
      [`config.yml:2: storage.cache ${ignored}`, `config.yml:2: storage.tag ${ignored}`]
    ],
    ['storage: inmemory', [`config.yml:2: storage.inmemory ${ignored}: blobs are kept on the local disk`]],
    [
      'storage: {s3: {accesskey: a, secretkey: b}}',
      [`config.yml:2: storage.s3 ${ignored}: blobs are kept on the local disk`]
    ],
    [
      'storage: {gcs: {}, azure: {}}',
      [
        `config.yml:2: storage.gcs ${ignored}: blobs are kept on the local disk`,
        `config.yml:2: storage.azure ${ignored}: blobs are kept on the local disk`
      ]
    ],
    ['validation: {enabled: true}', [`config.yml:2: validation.enabled ${ignored}`]],
    [
      'http: {tls: {certificate: /c, key: /k, clientcas: [], clientauth: x}}',
      [`config.yml:2: http.tls.clientcas ${ignored}`, `config.yml:2: http.tls.clientauth ${ignored}`]
    ]
  ])('%s: a warning each', async (text, warnings) => {
    expect(shortWarnings(await loadText(`version: 0.1\n${text}\n`))).toEqual(warnings)
  })

  it.each([
    ['auth: silly', 'without it the registry would be open'],
    ['auth: {silly: {realm: r, service: s}}', 'Write auth.htpasswd or auth.token instead'],
    ['auth: {none: {}}', 'Write auth.htpasswd or auth.token instead'],
    ['auth: {ldap: {url: "ldap://x"}}', 'auth.ldap is a setting of distribution'],
    ['http: {tls: {certificate: /c, key: /k, clientcas: [/ca.pem]}}', 'client certificates are not asked for']
  ])('%s: no start, because ignoring it would open the registry', async (text, reason) => {
    expect(await problemsOf(loadText(`version: 0.1\n${text}\n`))).toContainEqual(expect.stringContaining(reason))
  })

  it.each([
    { REGISTRY_AUTH: 'silly' },
    { REGISTRY_AUTH_SILLY_REALM: 'Registry' },
    { REGISTRY_AUTH_LDAP_URL: 'x' },
    { REGISTRY_AUTH: '{none: {}}' },
    { REGISTRY_HTTP_TLS_CLIENTCAS_0: '/ca.pem' }
  ])('%j: no start either', async environment => {
    const problems = await problemsOf(loadConfig({ environment: { ...home, ...environment } }))
    expect(problems).toContainEqual(
      expect.stringContaining('is a setting of distribution that Pinnace does not have: ')
    )
  })

  it('a variable may take the guard away that the file set', async () => {
    const loaded = await loadText('version: 0.1\nauth: {silly: {realm: r}}\n', { REGISTRY_AUTH: '' })
    expect(loaded.config.auth).toEqual({})
  })

  it('variables are warned of once a setting, without their values', async () => {
    const environment = { ...home, REGISTRY_STORAGE_S3_ACCESSKEY: 'hunter2', REGISTRY_STORAGE_S3_SECRETKEY: '*hunter2' }
    const { warnings } = await loadConfig({ environment })
    expect(warnings).toEqual([
      expect.stringMatching(/^REGISTRY_STORAGE_S3_\w+: storage\.s3 is a setting of distribution/)
    ])
    expect(warnings.join()).not.toContain('hunter2')
  })
})
