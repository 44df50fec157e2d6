import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmod, chown, lstat, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { asUser } from '../../src/cli/as-user.ts'
import { run, serve, stop, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

/** Of the service, and of somebody else; neither need have a name here. */
const [service, somebody] = [64_321, 64_322]

const isRoot = process.platform === 'linux' && process.getuid?.() === 0
/** As another user, who must be able to read the sources. */
const readable =
  isRoot &&
  spawnSync('cat', [import.meta.filename, process.execPath], { uid: service, gid: service, stdio: 'ignore' }).status ===
    0

/** A folder that others may pass, with the data folder of a service in it. */
async function serviceFolder(): Promise<{ folder: string; data: string }> {
  const folder = await temporaryFolder()
  await chmod(folder, 0o755)
  const data = join(folder, 'data')
  await mkdir(data, { mode: 0o700 })
  await chown(data, service, service)
  return { folder, data }
}

async function pushed(data: string): Promise<void> {
  const node = await serve(data, {}, { uid: service })
  await pushImage(node.url, 'app', 'v1')
  expect(await stop(node)).toBe(0)
}

/** Every file with its owner, size and time of change. */
async function contents(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true })
  const entries = names.map(async name => {
    const { uid, size, mtimeMs } = await lstat(join(folder, name))
    return [name, `${uid} ${size} ${mtimeMs}`] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** Types as root, in a shell, what a message says; `pinnace` is the sources. */
function type(line: string): string {
  const pinnace = [process.execPath, join(import.meta.dirname, '../../src/main.ts')].join(' ')
  return execFileSync('/bin/sh', ['-c', line.replace('pinnace ', `${pinnace} `)], { encoding: 'utf8' })
}

const title = 'the data folder of another user'
describe.skipIf(!readable)(
  readable ? title : `${title} (needs root on Linux, and sources that others may read)`,
  () => {
    it('is not opened by root, who leaves nothing in it; what the message says to type works', async () => {
      const { data } = await serviceFolder()
      await pushed(data)
      const before = await contents(data)
      for (const args of [['ls'], ['gc'], ['rm', 'app:v1', '--yes'], ['key', 'rotate', '--yes'], ['serve']]) {
        const { code, stdout, stderr } = await run([...args, '--data', data])
        expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
        expect(stderr).toContain(`the data folder ${data} belongs to user ${service}, and this is root`)
        const line = `setpriv --reuid=${service} --regid=${service} --clear-groups pinnace ${args.join(' ')} --data ${data}`
        expect(stderr).toMatch(new RegExp(`\\. Type: ${line}\n$`))
      }
      expect(await contents(data)).toEqual(before)
      const { stderr } = await run(['ls', '--data', data])
      const [, line = ''] = /\. Type: (.*)\n/.exec(stderr) ?? []
      expect(type(line)).toBe('app\n')
      const node = await serve(data, {}, { uid: service })
      // Over the socket root is welcome.
      expect(await run(['ls', '--data', data])).toEqual({ code: 0, stdout: 'app\n', stderr: '' })
      expect(await stop(node)).toBe(0)
    })

    it('is not shown to others, who are told whose it is, beside a running node too', async () => {
      const { data } = await serviceFolder()
      const node = await serve(data, {}, { uid: service })
      const refused = await run(['ls', '--data', data], {}, { uid: somebody })
      expect(refused).toMatchObject({ code: 1, stdout: '' })
      expect(refused.stderr).toBe(
        `pinnace: user ${somebody} may not use the data folder ${data} (it belongs to user ${service}, mode 700). Type: sudo -u '#${service}' pinnace ls --data ${data}\n`
      )
      expect(await stop(node)).toBe(0)
    })

    it('behind a closed folder is not told as absent', async () => {
      const { folder, data } = await serviceFolder()
      await pushed(data)
      await chmod(folder, 0o700)
      for (const args of [['ls'], ['key', 'export'], ['serve'], ['config', 'check']]) {
        const { code, stderr } = await run([...args, '--data', data], {}, { uid: service })
        expect({ args, code }).toEqual({ args, code: args[0] === 'config' ? 2 : 1 })
        expect(stderr).toContain(`cannot reach the data folder ${data}: ${folder} is closed to that user`)
        expect(stderr).toContain(`chmod o+x ${folder}`)
      }
    })

    it('with files of root in it says which, and the line that mends it', async () => {
      const { data } = await serviceFolder()
      await pushed(data)
      const names = await readdir(join(data, 'metadata'))
      const current = join(data, 'metadata', 'CURRENT')
      for (const file of [current, join(data, 'metadata', names.find(name => name.endsWith('.log')) ?? '')]) {
        await chown(file, 0, 0)
        await chmod(file, 0o600)
      }
      const { code, stderr } = await run(['serve', '--data', data], {}, { uid: service })
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('may not use') })
      expect(stderr).toContain(`user ${service} may not use ${current}: it belongs to user root, like 1 more there;`)
      const [, line = ''] = /With no node running on the folder, let root type: (find .*)\n$/.exec(stderr) ?? []
      type(line)
      const node = await serve(data, {}, { uid: service })
      expect(await run(['ls', '--data', data])).toMatchObject({ code: 0, stdout: 'app\n' })
      expect(await stop(node)).toBe(0)
    })

    it.each(['lock', 'ipfs'])('with one file of root in %s/ says so too', async place => {
      const { data } = await serviceFolder()
      await pushed(data)
      const [first = ''] = (await readdir(join(data, place))).filter(name => /^(?:\d+|key)$/.test(name))
      const file = join(data, place, first)
      await chown(file, 0, 0)
      const { code, stderr } = await run(['serve', '--data', data], {}, { uid: service })
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`let root type: chown`) })
      const [, line = ''] = /let root type: (chown \d+:\d+ .*)\n$/.exec(stderr) ?? []
      expect(line).toBe(`chown ${service}:${service} ${file}`)
      type(line)
      const node = await serve(data, {}, { uid: service })
      expect(await stop(node)).toBe(0)
    })

    it('that is new takes the user of its first node, root in a container for one', async () => {
      const { data } = await serviceFolder()
      // A key that root imports would be of no use to the service.
      const { privateKey } = generateKeyPairSync('ed25519')
      const pem = join(data, '..', 'key.pem')
      await writeFile(pem, privateKey.export({ type: 'pkcs8', format: 'pem' }))
      const imported = await run(['key', 'import', pem, '--data', data])
      expect(imported).toMatchObject({ code: 1, stderr: expect.stringContaining(`belongs to user ${service}`) })
      expect(await readdir(data)).toEqual([])
      const node = await serve(data)
      expect(await stop(node)).toBe(0)
      expect(await run(['ls', '--data', data])).toMatchObject({ code: 0 })
      // One that may not be written is given away: it holds nothing yet.
      const fresh = join(data, '..', 'fresh')
      await mkdir(fresh, { mode: 0o755 })
      const refused = await run(['serve', '--data', fresh], {}, { uid: service })
      expect(refused.stderr).toContain(`let root give it away with "chown ${service}:${service} ${fresh}"`)
      execFileSync('chown', [`${service}:${service}`, fresh])
      expect(await stop(await serve(fresh, {}, { uid: service }))).toBe(0)
    })
  }
)

describe('the line for another user', () => {
  it('is what was typed, quoted for a shell', () => {
    const line = asUser({ uid: 1000, gid: 1001, name: 'ann' }, ['rm', 'a b', "it's", '--data', '/srv/x'])
    expect(line).toMatch(/(?:runuser -u ann --|sudo -u ann) pinnace rm 'a b' 'it'\\''s' --data \/srv\/x$/)
  })
})
