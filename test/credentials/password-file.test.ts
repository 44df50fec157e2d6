import { execFileSync } from 'node:child_process'
import { appendFile, chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { PasswordFile } from '../../src/access/ports.ts'
import { CredentialFileError } from '../../src/credentials/credential-file.ts'
import { costOf } from '../../src/credentials/parse-htpasswd.ts'
import { openPasswordFile, type PasswordFileInit } from '../../src/credentials/password-file.ts'
import { openPasswordHash } from '../../src/credentials/password-hash.ts'
import { describeWithTools } from '../interop/tools.ts'
import { RecordedLog } from './recorded-log.ts'

const hash = (cost = '10', letter = 'a') => `$2y$${cost}$${letter.repeat(53)}`

let folder: string
let path: string
let log: RecordedLog
let file: PasswordFile | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-htpasswd-'))
  path = join(folder, 'htpasswd')
  log = new RecordedLog()
  file = undefined
})
afterEach(async () => {
  await file?.close()
  await rm(folder, { recursive: true })
})

const write = (text: string, to = path) => writeFile(to, text, { mode: 0o600 })
async function open(init: Partial<PasswordFileInit> = {}): Promise<PasswordFile> {
  file = await openPasswordFile({ log }, { path, pollMs: 100, settleMs: 10, ...init })
  return file
}
const soon = <T>(what: () => T) => vi.waitFor(what, { timeout: 10_000, interval: 10 })

describe('the password file', () => {
  it('CVE-2026-4404: is not made up when it is missing, and no password either', async () => {
    const error = await open().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CredentialFileError)
    expect(String(error)).toContain(path)
    expect(String(error)).toContain('ENOENT')
    await expect(rm(path)).rejects.toThrow('ENOENT')
  })

  it.each([
    ['broken', 'alice:plain-secret'],
    ['no text', Buffer.from([0xff, 0xfe, 0x00])]
  ])('stops the start when it is %s, without telling what is in it', async (_, content) => {
    await writeFile(path, content)
    const error = await open().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CredentialFileError)
    expect(String(error)).not.toContain('plain-secret')
  })

  it('stops the start when it is a folder, or the groups are missing', async () => {
    await mkdir(path)
    await expect(open()).rejects.toBeInstanceOf(CredentialFileError)
    await rm(path, { recursive: true })
    await write(`a:${hash()}`)
    await expect(open({ groups: join(folder, 'groups') })).rejects.toThrow(/groups/)
  })

  it('says who is there, the same object until something changes', async () => {
    await write(`alice:${hash()}\n`)
    const users = await open()
    expect(users.entry('alice')).toEqual({ name: 'alice', hash: hash(), groups: [] })
    expect(users.entry('alice')).toBe(users.entry('alice'))
    expect(users.entry('bob')).toBeUndefined()
    expect(users.entry('__proto__')).toBeUndefined()
  })

  it('is read again when it is written, replaced or grows', async () => {
    await write(`alice:${hash()}\n`)
    const users = await open()
    await write(`bob:${hash()}\n`)
    await soon(() => expect([users.entry('alice'), users.entry('bob')?.name]).toEqual([undefined, 'bob']))
    await write(`carol:${hash()}\n`, join(folder, 'new'))
    await rename(join(folder, 'new'), path)
    await soon(() => expect([users.entry('bob'), users.entry('carol')?.name]).toEqual([undefined, 'carol']))
    await appendFile(path, `dora:${hash()}\n`)
    await soon(() => expect(users.entry('dora')?.name).toBe('dora'))
    expect(users.entry('carol')?.name).toBe('carol')
  })

  it('is followed through links that are set anew, as Kubernetes mounts secrets', async () => {
    for (const version of ['one', 'two']) {
      await mkdir(join(folder, version))
      await write(`${version}:${hash()}\n`, join(folder, version, 'htpasswd'))
    }
    await symlink('one', join(folder, 'data'))
    await symlink('data/htpasswd', path)
    const users = await open()
    expect(users.entry('one')).toBeDefined()
    await symlink('two', join(folder, 'data.new'))
    await rename(join(folder, 'data.new'), join(folder, 'data'))
    await soon(() => expect(users.entry('two')).toBeDefined())
  })

  it('keeps what it said while a new version is broken or missing, and says so once', async () => {
    await write(`alice:${hash()}\n`)
    const users = await open()
    await write('bob:plain-secret\n')
    await soon(() => expect(log.of('error')).toHaveLength(1))
    expect(log.of('error')[0]).toContain('line 1')
    expect(log.lines.join()).not.toContain('plain-secret')
    expect(users.entry('alice')).toBeDefined()
    await rm(path)
    await soon(() => expect(log.of('error')).toHaveLength(2))
    expect(users.entry('alice')).toBeDefined()
    await write(`carol:${hash()}\n`)
    await soon(() => expect(users.entry('carol')).toBeDefined())
    expect(log.of('error')).toHaveLength(2)
  })

  it('GHSA-c9p4-xwr9-rfhx: groups are those of the file now', async () => {
    const groups = join(folder, 'groups')
    await write(`alice:${hash()}\nbob:${hash()}\n`)
    await write('dev: alice\nops: alice bob\n', groups)
    const users = await open({ groups })
    expect(users.entry('alice')?.groups).toEqual(['dev', 'ops'])
    await write('ops: bob\n', groups)
    await soon(() => expect(users.entry('alice')?.groups).toEqual([]))
    expect(users.entry('bob')?.groups).toEqual(['ops'])
  })

  it('warns of readers, writers and weak hashes', async () => {
    await write(`alice:${hash('05')}\n`)
    await chmod(path, 0o644)
    await open()
    expect(log.of('warn').join()).toMatch(/may read this file.*bcrypt of a cost below 10/)
    await chmod(path, 0o666)
    await soon(() => expect(log.of('warn').join()).toContain('may write this file'))
  })

  it('offers a hash of the same cost for names that nobody has', async () => {
    await write(`a:${hash('11')}\nb:${hash('11')}\nc:${hash('12')}\n`)
    const users = await open()
    const costs = Array.from({ length: 600 }, (_, at) => costOf(users.decoy(`nobody${at}`)))
    const cheap = costs.filter(cost => cost === 11).length
    expect(costs.length - cheap).toBe(costs.filter(cost => cost === 12).length)
    expect(cheap).toBeGreaterThan(300)
    expect(cheap).toBeLessThan(500)
    expect(users.decoy('nobody')).toBe(users.decoy('nobody'))
    expect(await (await openPasswordHash()).matches('', users.decoy('x').replace(/\$1[12]\$/, '$04$'))).toBe(false)
  })
})

describeWithTools(['htpasswd'], "Apache's htpasswd", () => {
  const run = (...args: string[]) => execFileSync('htpasswd', args, { stdio: ['ignore', 'ignore', 'ignore'] })

  it('makes files whose passwords are right and wrong', async () => {
    const { matches } = await openPasswordHash()
    run('-Bbc', path, 'alice', 'correct horse')
    run('-Bb', '-C', '10', path, 'bob', 'pässwörd ☃')
    await chmod(path, 0o600)
    const users = await open()
    const check = (name: string, password: string) => matches(password, users.entry(name)?.hash ?? '')
    expect(await check('alice', 'correct horse')).toBe(true)
    expect(await check('bob', 'pässwörd ☃')).toBe(true)
    expect(await check('alice', 'correct horsE')).toBe(false)
    expect(await check('bob', '')).toBe(false)
  })

  it('changes a password and removes a user while the node runs', async () => {
    run('-Bbc', path, 'alice', 'one')
    run('-Bb', path, 'bob', 'one')
    const users = await open()
    const before = users.entry('alice')?.hash
    run('-Bb', path, 'alice', 'two')
    await soon(() => expect(users.entry('alice')?.hash).not.toBe(before))
    expect(users.entry('bob')).toBeDefined()
    run('-D', path, 'bob')
    await soon(() => expect(users.entry('bob')).toBeUndefined())
    expect(await (await openPasswordHash()).matches('two', users.entry('alice')?.hash ?? '')).toBe(true)
  })

  it.each([['-m'], ['-s'], ['-2'], ['-5'], ['-d'], ['-p']])('%s makes what is refused', async flag => {
    run(flag, '-bc', path, 'alice', 'hunter2')
    await expect(open()).rejects.toThrow(/line 1: the password is kept as .*htpasswd -B/)
  })
})

describe('passwords', () => {
  it('are checked a few at a time, some wait, more are turned away', async () => {
    const { matches } = await openPasswordHash({}, { concurrency: 1, queue: 2 })
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => matches('x', `$2b$06$${'.'.repeat(53)}`)))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect(results[4]).toMatchObject({ reason: { reason: 'TOOMANYREQUESTS', headers: { 'Retry-After': '2' } } })
    expect(await matches('x', `$2b$04$${'.'.repeat(53)}`)).toBe(false)
  })

  it('that waited too long are turned away unchecked', async () => {
    const { matches } = await openPasswordHash({}, { concurrency: 1, waitMs: 0 })
    const results = await Promise.allSettled([1, 2, 3].map(() => matches('x', `$2b$07$${'.'.repeat(53)}`)))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(await matches('x', `$2b$04$${'.'.repeat(53)}`)).toBe(false)
  })
})
