import { X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'acme-client'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Authority } from '../../src/acme/authority.ts'
import { CertificateFolder } from '../../src/acme/certificate-folder.ts'
import { createKey } from '../../src/acme/keys.ts'
import { renewalTime, retryTime } from '../../src/acme/renewal.ts'
import { createEgress } from '../../src/egress/egress.ts'
import { namedHost } from '../../src/egress/named-hosts.ts'
import { startServer } from '../egress/servers.ts'
import { createCertificate, hasOpenssl } from '../http/certificate.ts'

async function folder(): Promise<CertificateFolder> {
  const path = await mkdtemp(join(tmpdir(), 'pinnace-acme-folder-'))
  onTestFinished(() => rm(path, { recursive: true }))
  const made = new CertificateFolder(join(path, 'acme'))
  await made.open()
  return made
}

const never = new AbortController().signal

describe('an authority', () => {
  const init = { email: 'a@example.com', accountKey: createKey() }

  it('is asked through the egress rule, or not at all', async () => {
    const server = await startServer((_request, response) => response.end('{}'))
    const directoryUrl = `${server.url}/dir`
    const client = new Client({ directoryUrl, accountKey: init.accountKey })
    await expect(client.getTermsOfServiceUrl()).rejects.toThrow(/only the egress rule may/)
    const authority = new Authority({ egress: createEgress() }, { ...init, directoryUrl })
    const refused = authority.ask(never, async () => undefined)
    await expect(refused).rejects.toMatchObject({ name: 'AuthorityError', cause: { code: 'ADDRESS_REFUSED' } })
    expect(server.seen).toEqual([])
  })

  it('that wants to be left alone is asked once, and tells until when', async () => {
    const server = await startServer((request, response) => {
      if (request.url === '/dir')
        return void response
          .writeHead(200, { 'Content-Type': 'application/json' })
          .end(JSON.stringify({ newNonce: `${server.url}/nonce`, newAccount: `${server.url}/account` }))
      if (request.url === '/nonce') return void response.writeHead(200, { 'Replay-Nonce': 'abc' }).end()
      const problem = { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many registrations' }
      const headers = { 'Content-Type': 'application/problem+json', 'Retry-After': '7200' }
      response.writeHead(429, headers).end(JSON.stringify(problem))
    })
    const egress = createEgress({ named: [namedHost(server.url)] })
    onTestFinished(() => egress.close())
    const authority = new Authority({ egress }, { ...init, directoryUrl: `${server.url}/dir` })
    const before = Date.now()
    const failure = await authority.ask(never, async () => undefined).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      name: 'AuthorityError',
      message: expect.stringContaining('too many registrations')
    })
    const { retryAt } = failure as { retryAt: number }
    expect(retryAt).toBeGreaterThanOrEqual(before + 7_200_000)
    expect(server.seen.filter(({ path }) => path === '/account')).toHaveLength(1)
  })

  it.each([
    ['makes the account', 201, undefined],
    ['refuses it', 429, 7200]
  ])('is asked for an account once, for all names that want one at once: %s', async (_, status, seconds) => {
    const server = await startServer((request, response) => {
      const urls = { newNonce: `${server.url}/nonce`, newAccount: `${server.url}/account` }
      const headers = { 'Content-Type': 'application/json', 'Replay-Nonce': 'abc' }
      if (request.url === '/dir') return void response.writeHead(200, headers).end(JSON.stringify(urls))
      if (request.url === '/nonce') return void response.writeHead(200, headers).end()
      const more = { Location: `${server.url}/account/1`, ...(seconds && { 'Retry-After': String(seconds) }) }
      setTimeout(() => response.writeHead(status, { ...headers, ...more }).end('{}'), 50)
    })
    const egress = createEgress({ named: [namedHost(server.url)] })
    onTestFinished(() => egress.close())
    const authority = new Authority({ egress }, { ...init, directoryUrl: `${server.url}/dir` })
    const before = Date.now()
    const answers = await Promise.allSettled([1, 2, 3].map(async at => authority.ask(never, async () => at)))
    expect(server.seen.filter(({ path }) => path === '/account')).toHaveLength(1)
    if (seconds === undefined) expect(answers.map(({ status }) => status)).toEqual(Array(3).fill('fulfilled'))
    else
      for (const answer of answers)
        expect(answer.status === 'rejected' && answer.reason.retryAt).toBeGreaterThanOrEqual(before + seconds * 1000)
  })
})

describe('times', () => {
  it('a failure is followed by a growing pause, never shorter than the authority wants', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.nat(1e9),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (failures, wait, random) => {
          const now = 1e12
          const at = retryTime({ failures, now, retryAt: now + wait }, () => random)
          expect(at).toBeGreaterThanOrEqual(now + Math.max(wait, 48_000))
          expect(at).toBeLessThanOrEqual(now + Math.max(wait, 1.2 * 12 * 3600_000))
        }
      )
    )
    const half = () => 0.5
    const pauses = [1, 2, 3, 4, 5].map(failures => retryTime({ failures, now: 0 }, half) / 60_000)
    expect(pauses).toEqual([1, 5, 25, 125, 625])
  })

  it.skipIf(!hasOpenssl)(
    'renewal is at two thirds of the life, or a little before (needs: apt-get install openssl)',
    () => {
      const pem = createCertificate().cert.toString()
      const { validFromDate, validToDate } = new X509Certificate(pem)
      const part = (random: number) =>
        (renewalTime(pem, () => random) - validFromDate.getTime()) / (validToDate.getTime() - validFromDate.getTime())
      expect(part(0)).toBeCloseTo(2 / 3, 4)
      expect(part(1)).toBeCloseTo(2 / 3 - 1 / 50, 4)
    }
  )
})

describe('the folder', () => {
  it('keeps the account’s key, for its owner alone', async () => {
    const kept = await folder()
    const key = await kept.accountKey()
    expect(await kept.accountKey()).toBe(key)
    expect((await stat(join(kept.path, 'acme_account+key'))).mode & 0o777).toBe(0o600)
    expect(await readdir(kept.path)).toEqual(['acme_account+key'])
  })

  it.skipIf(!hasOpenssl)('gives only what can be used for the name (needs: apt-get install openssl)', async () => {
    const kept = await folder()
    const [own, other] = [createCertificate(), createCertificate()]
    const pair = { key: own.key.toString(), chain: own.cert.toString() }
    await kept.keep('localhost', pair)
    expect(await kept.find('localhost')).toEqual(pair)
    await kept.keep('other.example', pair)
    expect(await kept.find('other.example')).toBeUndefined()
    await kept.keep('localhost', { key: other.key.toString(), chain: pair.chain })
    expect(await kept.find('localhost')).toBeUndefined()
    expect(await kept.find('absent')).toBeUndefined()
    for (const text of [
      '',
      'nonsense',
      pair.key,
      pair.chain,
      `${pair.key}-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n`
    ]) {
      await writeFile(join(kept.path, 'localhost'), text)
      expect(await kept.find('localhost'), text).toBeUndefined()
    }
  })

  it('remembers attempts, and takes a broken memory for none', async () => {
    const kept = await folder()
    await kept.setAttempts('a.example', { failures: 2, retryAt: 5 })
    expect(await kept.attempts('a.example')).toEqual({ failures: 2, retryAt: 5 })
    await writeFile(join(kept.path, 'a.example+attempts'), '{"fail')
    expect(await kept.attempts('a.example')).toEqual({ failures: 0, retryAt: 0 })
    await kept.setAttempts('a.example', undefined)
    expect(await readdir(kept.path)).toEqual([])
  })
})
