import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { describe, expect, it } from 'vitest'
import { readKeyFile, replaceKeyFile, writeNewKeyFile } from '../../src/ipfs/key-file.ts'
import { loadKey } from '../../src/ipfs/node/key.ts'
import { silentLog } from './silent-log.ts'
import { temporaryFolder } from './temporary-folder.ts'

const source = new URL('../../src/ipfs/', import.meta.url).href

/** Rotates without end and says the peer ID of every key before and after it is the file's. */
const rotating = `
  const [{ replaceKeyFile }, { generateKeyPair }] = await Promise.all([
    import('${source}key-file.ts'), import('@libp2p/crypto/keys')
  ])
  for (;;) {
    const key = await generateKeyPair('Ed25519')
    process.stdout.write('begun ' + key.publicKey + '\\n')
    await replaceKeyFile(process.argv[1], key)
    process.stdout.write('done ' + key.publicKey + '\\n')
  }
`

async function draftsIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter(name => name.startsWith('.key-'))
}

/** One process that dies after `ms`. What it said last of all, and every key that it said was done. */
async function killedAfter(file: string, ms: number): Promise<{ last: string; done: string[] }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', rotating, file], {
    cwd: new URL('../../', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit')
  const said: [string, string][] = []
  for await (const line of createInterface({ input: child.stdout })) {
    const [word = '', peerId = ''] = line.split(' ')
    if (said.push([word, peerId]) === 1) setTimeout(() => child.kill('SIGKILL'), ms)
  }
  await exited
  return {
    last: said.at(-1)?.[1] ?? '',
    done: said.filter(([word]) => word === 'done').map(([, peerId]) => peerId)
  }
}

describe('a key file', () => {
  it('is the old or the new one, and every old one is beside it, whenever the process dies', async () => {
    const folder = await temporaryFolder()
    const file = join(folder, 'key')
    const first = await generateKeyPair('Ed25519')
    await writeNewKeyFile(file, first)
    const known = [first.publicKey.toString()]
    for (let round = 0; round < 12; round++) {
      const { last, done } = await killedAfter(file, round * 3)
      known.push(...done)
      const now = (await readKeyFile(file)).publicKey.toString()
      expect([known.at(-1), last]).toContain(now)
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      known.push(now)
      for (const old of new Set(known)) {
        if (old === now) continue
        expect((await readKeyFile(`${file}.${old}`)).publicKey.toString()).toBe(old)
        expect((await stat(`${file}.${old}`)).mode & 0o777).toBe(0o600)
      }
    }
  }, 60_000)

  it('is left without secrets of a process that died before it was done, from the next start on', async () => {
    const folder = await temporaryFolder()
    const file = join(folder, 'key')
    const key = await generateKeyPair('Ed25519')
    await writeNewKeyFile(file, key)
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    await writeFile(join(folder, `.key-${child.pid}-1700000000000`), 'a secret')
    await writeFile(join(folder, `.key-${process.pid}-${Date.now()}`), 'of a process that lives')
    await writeFile(join(folder, '.key-of-the-house'), 'not ours')
    expect((await loadKey(file, silentLog)).publicKey.equals(key.publicKey)).toBe(true)
    const left = await draftsIn(folder)
    expect(left).toHaveLength(2)
    expect(left).not.toContain(`.key-${child.pid}-1700000000000`)
    await writeFile(join(folder, `.key-${child.pid}-1700000000000`), 'a secret')
    await replaceKeyFile(file, await generateKeyPair('Ed25519'))
    expect(await draftsIn(folder)).toHaveLength(2)
  })

  it('that is a link to nothing gets no key: what should be there is another one', async () => {
    const folder = await temporaryFolder()
    const file = join(folder, 'key')
    await symlink(join(folder, 'secret-that-was-not-mounted'), file)
    const refusal = {
      name: 'IpfsSettingError',
      message: expect.stringMatching(/^ipfs\.key\.file: .* is a link to nothing/)
    }
    await expect(loadKey(file, silentLog)).rejects.toMatchObject(refusal)
    await expect(replaceKeyFile(file, await generateKeyPair('Ed25519'))).rejects.toMatchObject(refusal)
    expect(await readdir(folder)).toEqual(['key'])
  })

  it('behind a link changes where it is, and the old one stays there', async () => {
    const folder = await temporaryFolder()
    const [file, real] = [join(folder, 'key'), join(folder, 'real')]
    const [old, next] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')]
    await writeNewKeyFile(real, old)
    await symlink(real, file)
    expect(await replaceKeyFile(file, next)).toBe(`${real}.${old.publicKey}`)
    expect((await readFile(real)).equals(await readFile(file))).toBe(true)
    expect((await readKeyFile(file)).publicKey.equals(next.publicKey)).toBe(true)
  })
})
