import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { verify } from '@node-rs/bcrypt'
import { describe, expect, it } from 'vitest'
import { clockAndPlace } from '../clock-and-place.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

function hash(name: string, input: string | Buffer) {
  const env = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...clockAndPlace() }
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'user', 'hash', name], { input, env })
  return { code: status, stdout: stdout.toString(), stderr: stderr.toString() }
}

describe('user hash', () => {
  it.each([
    ['alice', 'hunter2\n', 'hunter2'],
    ['alice', 'hunter2', 'hunter2'],
    ['alice', 'hunter2\r\n', 'hunter2'],
    ['ci@team', ' spaces: and é, 72 bytes at most \n', ' spaces: and é, 72 bytes at most '],
    ['x', 'y'.repeat(72), 'y'.repeat(72)]
  ])('prints the htpasswd line of %s for %j', async (name, input, password) => {
    const { code, stdout, stderr } = hash(name, input)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [, named, hashed = ''] = /^([^:]+):(\$2y\$10\$[./0-9A-Za-z]{53})\n$/.exec(stdout) ?? []
    expect(named).toBe(name)
    expect(await verify(password, hashed)).toBe(true)
    expect(await verify(`${password}x`.slice(1), hashed)).toBe(false)
  })

  it.each([
    [/cannot be the name/, '', 'secret'],
    [/cannot be the name/, 'a:b', 'secret'],
    [/cannot be the name/, '#a', 'secret'],
    [/cannot be the name/, 'a\nb', 'secret'],
    [/holds no password/, 'alice', ''],
    [/holds no password/, 'alice', '\n'],
    [/more than one line/, 'alice', 'secret\nsecret\n'],
    [/NUL/, 'alice', 'secret\0'],
    [/at most 72 bytes/, 'alice', 'secret'.repeat(13)],
    [/at most 72 bytes/, 'alice', `${'é'.repeat(36)}x`],
    [/larger than 64 KiB/, 'alice', Buffer.alloc(70_000, 'secret')]
  ])('refuses: %s', (reason, name, input) => {
    const { code, stdout, stderr } = hash(name, input)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(reason)
    expect(stderr).not.toContain('secret')
  })
})
