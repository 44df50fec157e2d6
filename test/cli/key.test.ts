import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { beforeEach, describe, expect, it } from 'vitest'
import { openDataFolder } from '../../src/data-folder.ts'
import { type Finished, run, serve, stop, temporaryFolder } from './command.ts'

let folder: string
let data: string

/** A data folder with the key of a node that was started once. */
beforeEach(async () => {
  folder = await temporaryFolder()
  data = join(folder, 'data')
  await mkdir(join(data, 'ipfs'), { recursive: true })
  await writeFile(join(data, 'layout'), '1\n')
})

async function givenKey(file = join(data, 'ipfs', 'key')): Promise<{ peerId: string; bytes: Buffer }> {
  const key = await generateKeyPair('Ed25519')
  const bytes = Buffer.from(privateKeyToProtobuf(key))
  await writeFile(file, bytes, { mode: 0o600 })
  return { peerId: key.publicKey.toString(), bytes }
}

/** Key material in any form that somebody might print. */
function expectNoSecret({ stdout, stderr }: Finished, ...keys: { bytes: Buffer }[]): void {
  for (const { bytes } of keys) {
    const seed = bytes.subarray(4, 36)
    for (const form of ['base64', 'hex', 'latin1'] as const) {
      expect(stdout + stderr).not.toContain(seed.toString(form).slice(0, 24))
    }
  }
}

const keyFile = () => join(data, 'ipfs', 'key')
const command = (...args: string[]) => run(['key', ...args, '--data', data])

describe('key export', () => {
  it('writes a file for its owner only, names it, and overwrites nothing', async () => {
    const key = await givenKey()
    const out = join(folder, 'node.key')
    const exported = await command('export', '--out', out)
    expect(exported).toMatchObject({ code: 0, stdout: `${out}\n`, stderr: expect.stringContaining(key.peerId) })
    expectNoSecret(exported, key)
    expect((await stat(out)).mode & 0o777).toBe(0o600)
    expect((await readFile(out)).equals(key.bytes)).toBe(true)
    const again = await command('export', '--out', out)
    expect(again).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(`${out} is there already`) })
    expect((await readFile(out)).equals(key.bytes)).toBe(true)
  })

  it('is an entry of the audit log, beside a running node too', async () => {
    const path = join(folder, 'audit.log')
    const env = { REGISTRY_LOG_AUDIT_PATH: path }
    await givenKey()
    const node = await serve(data, env)
    const out = join(folder, 'node.key')
    const exported = await run(['key', 'export', '--out', out, '--data', data], env)
    expect(exported).toMatchObject({ code: 0 })
    expect(await run(['key', 'export', '--out', out, '--data', data], env)).toMatchObject({ code: 1 })
    expect(await stop(node)).toBe(0)
    const text = await readFile(path, 'utf8')
    const entries = text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(entries.map(({ subject, action, outcome }) => `${subject} ${action} ${outcome}`)).toEqual([
      'operator start allowed',
      'operator export allowed',
      'operator export failed',
      'operator stop allowed'
    ])
    expect(exported.stderr).toContain(entries[1].reference)
    expectNoSecret({ ...exported, stdout: text }, { bytes: await readFile(out) })
  })

  it('says so when its audit log cannot be written, and goes on: the key can be read by other means', async () => {
    const key = await givenKey()
    const env = { REGISTRY_LOG_AUDIT_PATH: folder }
    const exported = await run(['key', 'export', '--out', '-', '--data', data], env)
    expect(exported).toMatchObject({ code: 0, stderr: expect.stringMatching(/no entry of the audit log.*EISDIR/) })
    expectNoSecret({ ...exported, stdout: '' }, key)
  })

  it('writes to standard output when told to, both forms read back as the same key', async () => {
    const { peerId } = await givenKey()
    const { stdout } = await command('export', '--format', 'pem-pkcs8-cleartext', '--out', '-')
    expect(stdout).toMatch(/^-----BEGIN PRIVATE KEY-----\n[\w+/=]+\n-----END PRIVATE KEY-----\n$/)
    const pem = join(folder, 'node.pem')
    await writeFile(pem, stdout)
    expect(await command('import', pem)).toMatchObject({ code: 0, stdout: expect.stringContaining(`${peerId} is the`) })
  })

  it('works beside a running node, whose key it leaves alone', async () => {
    const node = await serve(data)
    const { peerId } = JSON.parse((await run(['id', '--json', '--data', data])).stdout)
    const exported = await command('export', '--out', join(folder, 'running.key'))
    expect(exported).toMatchObject({ code: 0, stderr: expect.stringContaining(peerId) })
    expect(await stop(node)).toBe(0)
  })

  it('says that there is no key, and makes none', async () => {
    expect(await command('export')).toMatchObject({ code: 3, stderr: expect.stringContaining('there is no key') })
    expect(await readdir(join(data, 'ipfs'))).toEqual([])
  })
})

describe('key import', () => {
  it('asks before the peer ID changes, keeps the old key beside, and the node becomes the other one', async () => {
    const [old, next] = [await givenKey(), await givenKey(join(folder, 'next.key'))]
    const silent = await command('import', join(folder, 'next.key'))
    expect(silent).toMatchObject({ code: 2, stderr: expect.stringMatching(/--yes to change the peer ID\n$/) })
    expect((await readFile(keyFile())).equals(old.bytes)).toBe(true)
    const imported = await command('import', join(folder, 'next.key'), '--yes')
    expect(imported).toMatchObject({ code: 0, stdout: `old peer ID  ${old.peerId}\nnew peer ID  ${next.peerId}\n` })
    expectNoSecret(imported, old, next)
    expect((await readFile(keyFile())).equals(next.bytes)).toBe(true)
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600)
    expect((await readFile(`${keyFile()}.${old.peerId}`)).equals(old.bytes)).toBe(true)
    const node = await serve(data)
    const served = JSON.parse((await run(['id', '--json', '--data', data])).stdout)
    expect(served).toMatchObject({ peerId: next.peerId, multiaddrs: [expect.stringContaining(next.peerId)] })
    await stop(node)
    // And back, by the copy.
    expect((await command('import', `${keyFile()}.${old.peerId}`, '--yes')).code).toBe(0)
    expect((await run(['id', '--data', data])).stdout).toBe(`${old.peerId}\n`)
    expect((await readdir(join(data, 'ipfs'))).filter(name => name.startsWith('key')).sort()).toEqual(
      ['key', `key.${old.peerId}`, `key.${next.peerId}`].sort()
    )
  })

  it('needs no asking on a folder that never was a node', async () => {
    const { peerId } = await givenKey(join(folder, 'backup.key'))
    data = join(folder, 'new')
    expect(await command('import', join(folder, 'backup.key'))).toEqual({
      code: 0,
      stdout: `new peer ID  ${peerId}\n`,
      stderr: ''
    })
    expect((await run(['id', '--data', data])).stdout).toBe(`${peerId}\n`)
  })

  it('puts a good key in the place of a damaged one, which it keeps', async () => {
    const { peerId } = await givenKey(join(folder, 'backup.key'))
    await writeFile(keyFile(), 'rotten')
    const imported = await command('import', join(folder, 'backup.key'))
    expect(imported).toMatchObject({ code: 0, stdout: `new peer ID  ${peerId}\n` })
    const kept = (await readdir(join(data, 'ipfs'))).find(name => name.startsWith('key.unreadable-'))
    expect(await readFile(join(data, 'ipfs', kept ?? ''), 'utf8')).toBe('rotten')
  })

  it('refuses what is no key, without showing it', async () => {
    const old = await givenKey()
    const file = join(folder, 'no.key')
    for (const content of ['', 'hunter2', '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n']) {
      await writeFile(file, content)
      const { code, stderr } = await command('import', file, '--yes')
      expect({ content, code }).toEqual({ content, code: 2 })
      expect(stderr).toMatch(`pinnace: ${file} is not a key for a node: `)
      expect(stderr).not.toContain('hunter2')
    }
    expect(await command('import', '/dev/zero', '--yes')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/larger than 64 KiB/)
    })
    expect(await command('import', join(folder, 'none'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/there is no .*none\n$/)
    })
    expect((await readFile(keyFile())).equals(old.bytes)).toBe(true)
  })

  it('changes what ipfs.key.file names', async () => {
    const file = join(folder, 'secrets', 'node.key')
    const { peerId } = await givenKey(join(folder, 'next.key'))
    const config = { REGISTRY_IPFS_KEY_FILE: file }
    expect((await run(['key', 'import', join(folder, 'next.key'), '--data', data], config)).code).toBe(0)
    expect((await run(['id', '--data', data], config)).stdout).toBe(`${peerId}\n`)
    expect(await readdir(join(data, 'ipfs'))).toEqual([])
  })
})

describe('key rotate', () => {
  it('makes a new key, keeps the old one, and says what it means', async () => {
    const old = await givenKey()
    expect((await command('rotate')).code).toBe(2)
    const rotated = await command('rotate', '--yes')
    const [, next = ''] = /^old peer ID .*\nnew peer ID {2}(12D3Koo\w+)\n$/.exec(rotated.stdout) ?? []
    expect(next).not.toBe('')
    expect(next).not.toBe(old.peerId)
    expect(rotated.stderr).toMatch(/ipfs\.peers[\s\S]*IPNS name/)
    expectNoSecret(rotated, old, { bytes: await readFile(keyFile()) })
    expect((await run(['id', '--data', data])).stdout).toBe(`${next}\n`)
    expect((await readFile(`${keyFile()}.${old.peerId}`)).equals(old.bytes)).toBe(true)
  })

  it('is an entry of the audit log, which holds nothing of the key', async () => {
    const path = join(folder, 'audit.log')
    const env = { REGISTRY_LOG_AUDIT_PATH: path }
    const rotated = await run(['key', 'rotate', '--data', data], env)
    const peerId = rotated.stdout.trim().split(' ').at(-1)
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line))).toMatchObject([
      { subject: 'operator', action: 'key', reference: peerId, outcome: 'allowed' }
    ])
    expectNoSecret({ code: 0, stdout: lines.join(), stderr: '' }, { bytes: await readFile(keyFile()) })
  })

  it('refuses beside a running node, as import does', async () => {
    const old = await givenKey()
    await givenKey(join(folder, 'next.key'))
    const held = await openDataFolder(data, { command: 'serve', create: true })
    try {
      for (const args of [
        ['rotate', '--yes'],
        ['import', join(folder, 'next.key'), '--yes']
      ]) {
        const { code, stderr } = await command(...args)
        expect({ args, code }).toEqual({ args, code: 4 })
        expect(stderr).toMatch(/in use by process \d+ \(pinnace serve, .*stop it first/)
      }
    } finally {
      await held.close()
    }
    expect((await readFile(keyFile())).equals(old.bytes)).toBe(true)
  })
})
