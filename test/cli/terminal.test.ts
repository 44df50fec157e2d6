import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { verify } from '@node-rs/bcrypt'
import { describe, expect, it } from 'vitest'
import { openDataFolder } from '../../src/data-folder.ts'
import { controlProtocol } from '../../src/http/control-protocol.ts'
import type { Damage, ScrubReport } from '../../src/registry/registry.ts'
import { clockAndPlace } from '../clock-and-place.ts'
import { run, serve, stop, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const shownCursor = '\u001b[?25h'
const hiddenCursor = '\u001b[?25l'
/** util-linux's, which gives a program a terminal. */
const script = '/usr/bin/script'

/** Runs a command on a terminal, typing `answers[n]` when `expected[n]` has been shown. */
async function onTerminal(
  args: readonly string[],
  dialogue: readonly [RegExp, string][]
): Promise<{ code: number; shown: string }> {
  const line = `exec ${[process.execPath, main, ...args].map(word => `'${word}'`).join(' ')}`
  const child = spawn(script, ['-qec', line, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      TERM: 'xterm',
      ...clockAndPlace(),
      REGISTRY_HTTP_ADDR: '127.0.0.1:0',
      REGISTRY_IPFS_LISTEN: '[/ip4/127.0.0.1/tcp/0]'
    }
  })
  let shown = ''
  const turns = [...dialogue]
  child.stdout.setEncoding('utf8').on('data', text => {
    shown += text
    const [turn] = turns
    if (turn === undefined || !turn[0].test(shown)) return
    turns.shift()
    child.stdin.write(turn[1])
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, shown }
}

describe.skipIf(!existsSync(script))('on a terminal (needs script of util-linux)', () => {
  it('rm asks, and no is no', async () => {
    const data = await temporaryFolder()
    const node = await serve(data)
    await pushImage(node.url, 'app', 'v1')
    const refused = await onTerminal(
      ['rm', 'app:v1', '--data', data],
      [[/Remove app:v1 and 1 manifest\? \[y\/N\] /, 'n\r']]
    )
    expect(refused.code).toBe(1)
    expect((await run(['inspect', 'app:v1', '--data', data])).code).toBe(0)
    expect(refused.shown).toMatch(/app@sha256:[0-9a-f]{64} goes: \d+ B, application\/vnd\.oci\.image\.manifest/)
    const agreed = await onTerminal(['rm', 'app:v1', '--data', data], [[/1 manifest\? \[y\/N\] /, 'y\r']])
    expect(agreed.code).toBe(0)
    expect((await run(['inspect', 'app:v1', '--data', data])).code).toBe(3)
    expect(await stop(node)).toBe(0)
  })

  it('rm --all says how much it is before it asks', async () => {
    const data = await temporaryFolder()
    const node = await serve(data)
    await pushImage(node.url, 'app', 'v1')
    const { code, shown } = await onTerminal(
      ['rm', 'app', '--all', '--data', data],
      [[/Remove everything in app\? \[y\/N\] /, 'y\r']]
    )
    expect({ code, shown }).toEqual({ code: 0, shown: expect.stringMatching(/app: 1 tag, 1 manifest, 2\.86 MiB/) })
    expect((await run(['ls', '--data', data])).stdout).toBe('')
    expect(await stop(node)).toBe(0)
  })

  it('a password is typed twice and never shown', async () => {
    const asked: [RegExp, string][] = [
      [/Password for alice: $/, 'hunter2\r'],
      [/Once more: $/, 'hunter2\r']
    ]
    const { code, shown } = await onTerminal(['user', 'hash', 'alice'], asked)
    expect(code).toBe(0)
    expect(shown).not.toContain('hunter2')
    const [hash = ''] = /\$2y\$10\$[./\w]{53}/.exec(shown) ?? []
    expect(await verify('hunter2', hash)).toBe(true)
    const differing = await onTerminal(
      ['user', 'hash', 'alice'],
      [
        [/Password for alice: $/, 'hunter2\r'],
        [/Once more: $/, 'hunter3\r']
      ]
    )
    expect(differing).toMatchObject({ code: 2, shown: expect.stringMatching(/two different passwords/) })
    for (const key of ['\u0003', '\u0004']) {
      const { code, shown } = await onTerminal(['user', 'hash', 'alice'], [[/Password for alice: $/, key]])
      expect(code).toBe(key === '\u0003' ? 130 : 2)
      expect(shown).not.toContain('$2y$')
    }
  })

  it('another key is asked for by both peer IDs, and no key is shown', async () => {
    const data = await temporaryFolder()
    await stop(await serve(data))
    const [peerId = ''] = /12D3\w+/.exec((await run(['id', '--data', data])).stdout) ?? []
    const refused = await onTerminal(['key', 'rotate', '--data', data], [[/Go on\? \[y\/N\] /, '\r']])
    expect(refused.code).toBe(1)
    expect(refused.shown).toMatch(new RegExp(`${peerId} and becomes 12D3`))
    expect((await run(['id', '--data', data])).stdout).toBe(`${peerId}\n`)
    const agreed = await onTerminal(['key', 'rotate', '--data', data], [[/Go on\? \[y\/N\] /, 'yes\r']])
    expect(agreed).toMatchObject({ code: 0, shown: expect.stringMatching(/new peer ID {2}12D3/) })
    const shown = await onTerminal(['key', 'export', '--out', '-', '--data', data], [])
    expect(shown).toMatchObject({ code: 2, shown: expect.stringMatching(/not shown on a terminal/) })
  })

  it('a long command redraws one line, shows what it finds above it, and gives the cursor back, also after Ctrl-C', async () => {
    const folder = await openDataFolder(await temporaryFolder(), { command: 'serve', create: true })
    const quarantine = { files: 0, bytes: 0 }
    const report: ScrubReport = { blobs: 41, manifests: 1, bytes: 4096, damages: 0, incomplete: 0, quarantine }
    const damage: Damage = {
      digest: `sha256:${'0'.repeat(64)}`,
      kind: 'blob',
      problem: 'corrupt',
      repaired: true,
      images: ['app:v1']
    }
    const lines: object[] = [{ progress: report }, { damage }, { result: report }]
    let interval = 1_500
    const server = createServer(async (request, response) => {
      if (request.url === '/version')
        return void response.end(JSON.stringify({ version: '1', protocol: controlProtocol }))
      for (const line of lines) {
        response.write(`${JSON.stringify(line)}\n`)
        await delay(interval, undefined, { ref: false })
      }
      response.end()
    })
    server.listen(await folder.publishControlSocket())
    await once(server, 'listening')

    const whole = await onTerminal(['scrub', '--data', folder.path], [])
    expect(whole.code).toBe(0)
    expect(whole.shown).toMatch(/Scrubbing: 41 blobs, 1 manifest \(4\.00 KiB\)/)
    expect(whole.shown).toMatch(/does not hash to its digest, repaired/)
    expect(whole.shown).toMatch(/checked 41 blobs/)
    expect(whole.shown.lastIndexOf(shownCursor)).toBeGreaterThan(whole.shown.lastIndexOf(hiddenCursor))

    interval = 60_000
    const cut = await onTerminal(['scrub', '--data', folder.path], [[/Scrubbing: 41 blobs/, '\u0003']])
    expect(cut.code).toBe(130)
    expect(cut.shown.lastIndexOf(shownCursor)).toBeGreaterThan(cut.shown.lastIndexOf(hiddenCursor))
    server.closeAllConnections()
    server.close()
    await folder.close()
  })

  it('serve says what to do next, and Ctrl-C ends it in order', async () => {
    const data = await temporaryFolder()
    const { code, shown } = await onTerminal(['serve', '--data', data], [[/Multiaddr/, '\u0003']])
    expect(code).toBe(0)
    for (const said of ['Registry', 'Push', 'Peer ID', 'Ctrl-C', 'Stopping', 'Stopped']) expect(shown).toContain(said)
  })
})
