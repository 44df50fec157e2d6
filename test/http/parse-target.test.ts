import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import { parseTarget, type Target } from '../../src/http/parse-target.ts'

const digest = `sha256:${'a'.repeat(64)}`
const id = '01234567-89ab-cdef-0123-456789abcdef'

function outcome(method: string, path: string): Target | { reason: string; allow?: string } {
  try {
    return parseTarget(method, path)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return { reason: error.reason, ...(error.headers.Allow === undefined ? {} : { allow: error.headers.Allow }) }
  }
}

describe('endpoints', () => {
  it.each([
    ['GET', '/', { endpoint: 'end-1' }],
    ['HEAD', '/', { endpoint: 'end-1' }],
    ['GET', '/_catalog', { endpoint: 'catalog' }],
    ['GET', `/a/b/blobs/${digest}`, { endpoint: 'end-2', repository: 'a/b', digest }],
    ['HEAD', `/a/blobs/${digest}`, { endpoint: 'end-2', repository: 'a', digest }],
    ['DELETE', `/a/blobs/${digest}`, { endpoint: 'end-10', repository: 'a', digest }],
    ['GET', '/a/manifests/v1', { endpoint: 'end-3', repository: 'a', reference: { tag: 'v1' } }],
    ['GET', `/a/manifests/${digest}`, { endpoint: 'end-3', repository: 'a', reference: { digest } }],
    ['PUT', '/a/manifests/v1', { endpoint: 'end-7', repository: 'a', reference: { tag: 'v1' } }],
    ['DELETE', '/a/manifests/v1', { endpoint: 'end-9', repository: 'a', reference: { tag: 'v1' } }],
    ['POST', '/a/blobs/uploads/', { endpoint: 'end-4', repository: 'a' }],
    ['PATCH', `/a/blobs/uploads/${id}`, { endpoint: 'end-5', repository: 'a', id }],
    ['PUT', `/a/blobs/uploads/${id}`, { endpoint: 'end-6', repository: 'a', id }],
    ['PATCH', `/a/blobs/uploads/${id}/0`, { endpoint: 'end-5', repository: 'a', id, offset: 0 }],
    ['PUT', `/a/blobs/uploads/${id}/52613349376`, { endpoint: 'end-6', repository: 'a', id, offset: 52_613_349_376 }],
    ['DELETE', `/a/blobs/uploads/${id}/7`, { endpoint: 'end-14', repository: 'a', id, offset: 7 }],
    ['GET', `/a/blobs/uploads/${id}`, { endpoint: 'end-13', repository: 'a', id }],
    ['DELETE', `/a/blobs/uploads/${id}`, { endpoint: 'end-14', repository: 'a', id }],
    ['GET', '/a/tags/list', { endpoint: 'end-8', repository: 'a' }],
    ['GET', `/a/referrers/${digest}`, { endpoint: 'end-12', repository: 'a', digest }],
    ['GET', '/a/referrers/sha256+b64:a_-=', { endpoint: 'end-12', repository: 'a', digest: 'sha256+b64:a_-=' }],
    ['GET', '/a/blobs/md5:0123', { endpoint: 'end-2', repository: 'a', unstorable: 'md5:0123' }],
    ['DELETE', '/a/blobs/md5:0123', { endpoint: 'end-10', repository: 'a', unstorable: 'md5:0123' }],
    ['GET', '/a/manifests/md5:0123', { endpoint: 'end-3', repository: 'a', unstorable: 'md5:0123' }],
    ['DELETE', '/a/manifests/md5:0123', { endpoint: 'end-9', repository: 'a', unstorable: 'md5:0123' }],
    ['OPTIONS', '/a/tags/list', { endpoint: 'options', allow: 'GET, HEAD' }]
  ])('%s %s', (method, path, target) => {
    expect(outcome(method, path)).toEqual(target)
  })
})

describe('names made of the API’s own words', () => {
  it.each([
    ['GET', '/manifests/tags/tags/list', 'end-8', 'manifests/tags'],
    ['GET', '/a/blobs/uploads/tags/list', 'end-8', 'a/blobs/uploads'],
    ['GET', '/a/blobs/uploads/manifests/list', 'end-3', 'a/blobs/uploads'],
    ['POST', '/blobs/uploads/blobs/uploads/', 'end-4', 'blobs/uploads'],
    ['GET', `/a/blobs/uploads/blobs/uploads/${id}`, 'end-13', 'a/blobs/uploads'],
    ['GET', `/a/blobs/uploads/blobs/uploads/${id}/7`, 'end-13', 'a/blobs/uploads'],
    ['GET', `/blobs/uploads/${id}/7/blobs/uploads/${id}/7`, 'end-13', `blobs/uploads/${id}/7`],
    ['GET', `/a/blobs/uploads/${id}/7/tags/list`, 'end-8', `a/blobs/uploads/${id}/7`],
    ['GET', `/a/blobs/uploads/${id}/manifests/7`, 'end-3', `a/blobs/uploads/${id}`],
    ['POST', `/a/blobs/uploads/${id}/blobs/uploads/`, 'end-4', `a/blobs/uploads/${id}`],
    ['GET', `/a/manifests/blobs/${digest}`, 'end-2', 'a/manifests'],
    ['GET', '/referrers/tags/list', 'end-8', 'referrers']
  ])('%s %s', (method, path, endpoint, repository) => {
    expect(outcome(method, path)).toMatchObject({ endpoint, repository })
  })
})

describe('slashes and escapes', () => {
  it.each([
    ['GET', '', { endpoint: 'redirect', slash: true }],
    ['GET', '/_catalog/', { endpoint: 'redirect', slash: false }],
    ['GET', '/a/tags/list/', { endpoint: 'redirect', slash: false }],
    ['GET', '/a/manifests/v1/', { endpoint: 'redirect', slash: false }],
    ['POST', '/a/blobs/uploads', { endpoint: 'redirect', slash: true }],
    ['GET', `/a/blobs/${digest.replace(':', '%3A')}`, { endpoint: 'end-2', repository: 'a', digest }],
    ['GET', '/a%2Fb/tags/list', { endpoint: 'end-8', repository: 'a/b' }],
    ['GET', '/a%252Fb/tags/list', { reason: 'NAME_INVALID' }],
    ['GET', '/a%zz/tags/list', { reason: 'REQUEST_INVALID' }],
    ['GET', '/a%ff/tags/list', { reason: 'REQUEST_INVALID' }],
    ['GET', '/a%00/tags/list', { reason: 'NAME_INVALID' }]
  ])('%s %s', (method, path, result) => {
    expect(outcome(method, path)).toEqual(result)
  })
})

describe('refusals', () => {
  it.each([
    ['GET', '/tags/list', { reason: 'NOT_FOUND' }],
    ['GET', '/manifests/x', { reason: 'NOT_FOUND' }],
    ['GET', '//tags/list', { reason: 'NOT_FOUND' }],
    ['GET', '/a//tags/list', { reason: 'NAME_INVALID' }],
    ['GET', '/a/../b/tags/list', { reason: 'NAME_INVALID' }],
    ['GET', '/A/tags/list', { reason: 'NAME_INVALID' }],
    ['GET', `/${'a'.repeat(255)}/tags/list`, { endpoint: 'end-8', repository: 'a'.repeat(255) }],
    ['GET', `/${'a'.repeat(256)}/tags/list`, { reason: 'NAME_INVALID' }],
    ['GET', '/a/tags', { reason: 'NOT_FOUND' }],
    ['GET', '/a/tags/other', { reason: 'NOT_FOUND' }],
    ['GET', '/a/tags/list//', { reason: 'NOT_FOUND' }],
    ['GET', '/a/unknown/x', { reason: 'NOT_FOUND' }],
    ['GET', '/a/manifests/.x', { reason: 'TAG_INVALID' }],
    ['GET', '/a/manifests/sha256:short', { reason: 'DIGEST_INVALID' }],
    ['GET', '/a/blobs/sha256:0123', { reason: 'DIGEST_INVALID' }],
    ['GET', '/a/referrers/sha256:0123', { reason: 'DIGEST_INVALID' }],
    ['GET', '/a/referrers/md5:', { reason: 'DIGEST_INVALID' }],
    ['GET', '/a/referrers/md5:a%2Fb', { reason: 'NOT_FOUND' }],
    ['GET', `/a/blobs/md5:${'0'.repeat(200)}`, { reason: 'DIGEST_INVALID' }],
    ['PUT', '/a/manifests/md5:0123', { reason: 'DIGEST_INVALID' }],
    ['GET', '/a/blobs/uploads/not-a-uuid', { reason: 'BLOB_UPLOAD_UNKNOWN' }],
    ['GET', '/a/blobs/uploads/not-a-uuid/0', { reason: 'BLOB_UPLOAD_UNKNOWN' }],
    ['GET', `/a/blobs/uploads/${id}/07`, { reason: 'BLOB_UPLOAD_UNKNOWN' }],
    ['GET', `/a/blobs/uploads/${id}/-1`, { reason: 'BLOB_UPLOAD_UNKNOWN' }],
    ['GET', `/a/blobs/uploads/${id}/9007199254740993`, { reason: 'BLOB_UPLOAD_UNKNOWN' }],
    ['POST', `/a/blobs/uploads/${id}/7`, { reason: 'METHOD_NOT_ALLOWED', allow: 'GET, HEAD, PATCH, PUT, DELETE' }],
    ['GET', '/a/blobs/uploads/', { reason: 'METHOD_NOT_ALLOWED', allow: 'POST' }],
    ['POST', '/', { reason: 'METHOD_NOT_ALLOWED', allow: 'GET, HEAD' }],
    ['PATCH', '/a/manifests/v1', { reason: 'METHOD_NOT_ALLOWED', allow: 'GET, HEAD, PUT, DELETE' }],
    ['PUT', `/a/blobs/${digest}`, { reason: 'METHOD_NOT_ALLOWED', allow: 'GET, HEAD, DELETE' }],
    ['constructor', '/a/tags/list', { reason: 'METHOD_NOT_ALLOWED', allow: 'GET, HEAD' }],
    ['POST', `/a/blobs/uploads/${id}`, { reason: 'METHOD_NOT_ALLOWED', allow: 'GET, HEAD, PATCH, PUT, DELETE' }]
  ])('%s %s', (method, path, result) => {
    expect(outcome(method, path)).toEqual(result)
  })
})

const component = fc.stringMatching(/^[a-z0-9]{1,6}([._-][a-z0-9]{1,4}){0,2}$/)
const repository = fc.oneof(
  fc.array(component, { minLength: 1, maxLength: 6 }).map(parts => parts.join('/')),
  fc
    .array(fc.constantFrom('blobs', 'uploads', 'manifests', 'tags', 'list', 'referrers', 'v2', '7', id), {
      minLength: 1,
      maxLength: 6
    })
    .map(p => p.join('/'))
)
const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/)

describe('properties', () => {
  it('finds every repository and tag again, escaped or not', () => {
    fc.assert(
      fc.property(repository, tag, fc.boolean(), (name, reference, escaped) => {
        const path = `/${escaped ? encodeURIComponent(name) : name}/manifests/${reference}`
        expect(parseTarget('GET', path)).toEqual({ endpoint: 'end-3', repository: name, reference: { tag: reference } })
      })
    )
  })

  it('finds every repository of the other endpoints', () => {
    fc.assert(
      fc.property(repository, fc.nat(), (name, offset) => {
        expect(parseTarget('GET', `/${name}/tags/list`)).toEqual({ endpoint: 'end-8', repository: name })
        expect(parseTarget('POST', `/${name}/blobs/uploads/`)).toEqual({ endpoint: 'end-4', repository: name })
        expect(parseTarget('PATCH', `/${name}/blobs/uploads/${id}`)).toEqual({
          endpoint: 'end-5',
          repository: name,
          id
        })
        expect(parseTarget('PUT', `/${name}/blobs/uploads/${id}/${offset}`)).toEqual({
          endpoint: 'end-6',
          repository: name,
          id,
          offset
        })
        expect(parseTarget('GET', `/${name}/blobs/${digest}`)).toEqual({ endpoint: 'end-2', repository: name, digest })
        expect(parseTarget('GET', `/${name}/referrers/${digest}`)).toEqual({
          endpoint: 'end-12',
          repository: name,
          digest
        })
      })
    )
  })

  it('answers any path at all with a target or an error of the table, and nothing it accepts escapes the grammar', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'PUT', 'DELETE', 'POST', 'PATCH'),
        fc.webPath(),
        fc.string(),
        (method, path, noise) => {
          const target = outcome(method, `/${noise}${path}`)
          if ('repository' in target) expect(target.repository).toMatch(/^[a-z0-9]+([._/-]+[a-z0-9]+)*$/)
        }
      ),
      { numRuns: 2000 }
    )
  })
})
