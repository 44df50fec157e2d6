import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createControlApp } from '../../src/http/control-app.ts'
import { controlProtocol } from '../../src/http/control-protocol.ts'
import { createCertificate, hasOpenssl } from '../http/certificate.ts'
import { MemoryRegistry } from '../http/memory-registry.ts'
import { memoryLog } from '../http/serve.ts'
import { run, temporaryFolder } from './command.ts'

const token = 'pinnace_0123456789abcdefghijABCDEFGHIJ'

let folder: string
let tokenFile: string
/** `Authorization` of every request that came. */
let seen: (string | undefined)[]
let digest: string

beforeEach(async () => {
  folder = await temporaryFolder()
  tokenFile = join(folder, 'admin.token')
  await writeFile(tokenFile, `${token}\n`)
  seen = []
})

/** The control routes under `/team/admin/v1`, for whoever has the token. */
async function adminApi(): Promise<RequestListener> {
  const registry = new MemoryRegistry()
  digest = registry.addManifest('team/app', Buffer.from('m'), { tags: ['v1'] })
  const identity = async () => ({ peerId: '12D3KooX', multiaddrs: [] })
  const app = createControlApp({ registry, node: { version: '1.2.3', identity }, log: memoryLog() })
  await app.ready()
  onTestFinished(() => app.close())
  return (request, response) => {
    seen.push(request.headers.authorization)
    const prefix = '/team/admin/v1'
    if (!request.url?.startsWith(`${prefix}/`)) return response.writeHead(404).end('<h1>Nothing here</h1>')
    if (request.headers.authorization !== `Bearer ${token}`) return response.writeHead(401).end()
    request.url = request.url.slice(prefix.length)
    app.routing(request, response)
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function plain(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(listener))}`
}

describe('a node elsewhere', () => {
  it('is asked by its admin API, with the token of a file', async () => {
    const host = `${await plain(await adminApi())}/team`
    const there = ['--host', host, '--token-file', tokenFile]
    expect(await run(['id', ...there])).toEqual({ code: 0, stdout: '12D3KooX\n', stderr: '' })
    expect((await run(['ls', ...there])).stdout).toBe('team/app\n')
    expect((await run(['inspect', 'team/app:v1', '--json', ...there])).stdout).toContain(digest)
    expect((await run(['gc', '--dry-run', ...there])).stdout).toMatch(/^would free /)
    expect((await run(['scrub', ...there])).code).toBe(0)
    expect(await run(['rm', 'team/app:v1', '--yes', ...there])).toMatchObject({ stdout: 'removed team/app:v1\n' })
    expect(await run(['rm', 'team/app:v1', '--yes', ...there])).toMatchObject({ code: 3 })
    expect(new Set(seen)).toEqual(new Set([`Bearer ${token}`]))
  })

  it('is named by the environment too, and the token by it or by a file that it names', async () => {
    const host = `${await plain(await adminApi())}/team/`
    for (const secret of [{ PINNACE_TOKEN: token }, { PINNACE_TOKEN_FILE: tokenFile }]) {
      const { stdout, stderr } = await run(['ls'], { PINNACE_HOST: host, ...secret })
      expect({ stdout, stderr }).toEqual({ stdout: 'team/app\n', stderr: '' })
    }
    // What the line says is louder than the environment.
    const local = await run(['ls', '--data', join(folder, 'none')], { PINNACE_HOST: host, PINNACE_TOKEN: token })
    expect(local).toMatchObject({ code: 3, stderr: expect.stringContaining('no data folder of Pinnace here') })
  })

  it('is not given the token of another, which the environment names', async () => {
    const host = `${await plain(await adminApi())}/team`
    const other = { PINNACE_HOST: 'https://registry.example', PINNACE_TOKEN: token }
    expect(await run(['ls', '--host', host], other)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/wants a/)
    })
    expect(seen).toEqual([undefined])
    expect((await run(['ls', '--host', host], { ...other, PINNACE_HOST: new URL(host).origin })).code).toBe(0)
    expect((await run(['ls', '--host', host], { PINNACE_TOKEN: token })).code).toBe(0)
  })

  it('says who is not let in, and where nothing is', async () => {
    const url = await plain(await adminApi())
    const host = `${url}/team`
    expect(await run(['ls', '--host', host])).toEqual({
      code: 1,
      stdout: '',
      stderr: `pinnace: the node at ${host} wants a token that it made and that has not expired: give it with --token-file (it answers 401)\n`
    })
    const lost = await run(['ls', '--host', url, '--token-file', tokenFile])
    expect(lost).toMatchObject({ code: 1, stderr: expect.stringMatching(/has no admin API there: .*http\.prefix/) })
    const denying = await plain((_request, response) => {
      const body = { errors: [{ code: 'DENIED', message: 'token:ci may not admin\u001b[2J' }] }
      response.writeHead(403, { 'pinnace-reason': 'DENIED' }).end(JSON.stringify(body))
    })
    const denied = await run(['ls', '--host', denying, '--token-file', tokenFile])
    expect(denied).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/does not let you .*token:ci may not admin/)
    })
    expect(denied.stderr).not.toContain('\u001b')
  })

  it('that is no Pinnace is not misread', async () => {
    const answers: RequestListener[] = [
      (_request, response) => void response.end('<html>'),
      (_request, response) => void response.end('[]'),
      (_request, response) => void response.end('null')
    ]
    for (const answer of answers) {
      const { code, stderr } = await run(['ls', '--host', await plain(answer)])
      expect(code).toBe(1)
      expect(stderr).toMatch(/^pinnace: the node at http:\S+ gives an answer that is none of Pinnace\n$/)
    }
    const broken = await plain((_request, response) => void response.writeHead(502).end('<h1>Bad gateway</h1>'))
    expect((await run(['ls', '--host', broken])).stderr).toMatch(/answers 502\n$/)
    const closed = await plain((request, _response) => void request.destroy())
    expect((await run(['ls', '--host', closed])).stderr).toMatch(/^pinnace: the node at \S+ does not answer: /)
  })

  it('that means no good neither writes to the terminal nor fills the memory', async () => {
    const version = JSON.stringify({ version: '1', protocol: controlProtocol })
    const hostile = async (listener: RequestListener) => {
      const host = await plain((request, response) => {
        if (request.url?.endsWith('/version')) response.end(version)
        else listener(request, response)
      })
      return run(['ls', '--host', host, '--token-file', tokenFile])
    }
    const redirected = await hostile((_request, response) => {
      response.socket?.end(
        'HTTP/1.1 302 Found\r\nLocation: \x9b2J\x9b31mpinnace\r\nContent-Length: 0\r\n\r\n',
        'latin1'
      )
    })
    expect(redirected.code).toBe(1)
    expect(redirected.stderr).toMatch(/^pinnace: .* redirects to [\x20-\x7e\ufffd]*\n$/)

    const clear = '\u009b2J'
    const answers: Record<string, unknown> = {
      id: { peerId: clear, multiaddrs: [clear] },
      ls: { repository: clear },
      tokens: {
        token: clear,
        record: { id: clear, name: clear, kind: clear, grants: [], createdAt: 0 },
        authenticating: true
      }
    }
    const host = await plain((request, response) => {
      const last = request.url?.split('/').at(-1) ?? ''
      response.end(last === 'version' ? version : `${JSON.stringify(answers[last])}\n`)
    })
    const create = ['token', 'create', '--name', 'a', '--repo', 'a', '--actions', 'pull']
    for (const args of [['id'], ['ls'], ['token', 'ls'], create]) {
      const { code, stdout, stderr } = await run([...args, '--host', host])
      expect({ args, code }).toEqual({ args, code: 0 })
      expect(stdout).toContain('2J')
      expect(stdout + stderr).not.toContain('\u009b')
    }

    const garbage = await hostile((_request, response) => void response.end('no JSON\x1b[2J\n'))
    expect(garbage).toMatchObject({ code: 1, stderr: expect.stringMatching(/^pinnace: .* none of Pinnace\n$/) })

    let sent = 0
    const endless = await hostile((_request, response) => {
      const more = () => {
        while (!response.destroyed && sent < 1 << 30) {
          sent += 1 << 20
          if (!response.write('x'.repeat(1 << 20))) return void response.once('drain', more)
        }
        response.end()
      }
      more()
    })
    expect(endless).toMatchObject({ code: 1, stderr: expect.stringMatching(/longer than any of a node\n$/) })
    expect(sent).toBeLessThan(200 << 20)
  }, 60_000)

  it('may redirect, and the token does not go there', async () => {
    const elsewhere = await plain(await adminApi())
    const redirecting = await plain((request, response) => {
      response.writeHead(307, { Location: `${elsewhere}/team${request.url}?secret=x` }).end()
    })
    const { code, stderr } = await run(['ls', '--host', redirecting, '--token-file', tokenFile])
    expect(code).toBe(1)
    expect(stderr).toContain(`redirects to ${elsewhere}/team/admin/v1/version, where no token is sent`)
    expect(stderr).not.toContain('secret')
    expect(seen).toEqual([])
  })
})

describe.skipIf(!hasOpenssl)('over TLS', () => {
  it('a node is asked when an authority that was named vouches for it, and sent nothing otherwise', async () => {
    const { cert, key } = createCertificate()
    const ca = join(folder, 'ca.pem')
    await writeFile(ca, cert)
    const port = await listen(createSecureServer({ cert, key }, await adminApi()))
    const there = ['--host', `https://localhost:${port}/team`, '--token-file', tokenFile]
    const untrusted = await run(['ls', ...there])
    expect(untrusted).toMatchObject({ code: 1, stderr: expect.stringMatching(/not trusted \(\w+\): .*--ca\n$/) })
    // Only plain HTTP is what --insecure lets through.
    expect((await run(['ls', ...there, '--insecure'])).code).toBe(1)
    expect(seen).toEqual([])
    expect(await run(['ls', ...there, '--ca', ca])).toEqual({ code: 0, stdout: 'team/app\n', stderr: '' })
  })

  it('a plain port is told from one that is away', async () => {
    const url = await plain(await adminApi())
    const { code, stderr } = await run(['ls', '--host', `${url.replace('http', 'https')}/team`])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^pinnace: the node at https:\S+ does not speak TLS at that port: /)
  })
})

describe('a command line for a node elsewhere', () => {
  const wrong: [reason: RegExp, args: string[], env?: Record<string, string>][] = [
    [/clear text/, ['ls', '--host', 'http://registry.example']],
    [/clear text/, ['ls', '--host', 'http://127.evil.example']],
    [/write a URL/, ['ls', '--host', 'registry.example']],
    [/write a URL/, ['ls', '--host', 'ftp://registry.example']],
    [/holds a user name or password/, ['ls', '--host', 'https://me:hunter2@registry.example']],
    [/query/, ['ls', '--host', 'https://registry.example/?token=hunter2']],
    [/PINNACE_HOST is "nonsense"/, ['ls'], { PINNACE_HOST: 'nonsense' }],
    [/--data names a node of this machine/, ['ls', '--host', 'https://a.example', '--data', '/none']],
    [/--config names a node of this machine/, ['ls', '--host', 'https://a.example', '--config', '/none']],
    [/--token-file is for/, ['ls', '--token-file', '/none']],
    [/both set/, ['ls'], { PINNACE_HOST: 'https://a.example', PINNACE_TOKEN: 'hunter2', PINNACE_TOKEN_FILE: '/none' }],
    [
      /PINNACE_TOKEN holds is no token/,
      ['ls'],
      { PINNACE_HOST: 'https://a.example', PINNACE_TOKEN: 'hunter2 hunter3' }
    ],
    [/about this machine/, ['serve', '--host', 'https://a.example']],
    [/about this machine/, ['config', 'check', '--host', 'https://a.example']],
    [/works on the machine/, ['key', 'export', '--host', 'https://a.example']],
    [/works on the machine/, ['key', 'rotate', '--yes'], { PINNACE_HOST: 'https://a.example' }]
  ]

  it.each(wrong)('is refused: %s %j %j', async (reason, args, env = {}) => {
    const { code, stdout, stderr } = await run(args, env)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(reason)
    expect(stderr).not.toContain('hunter2')
  })

  it('may go over plain HTTP when told so in words', async () => {
    // Nothing has this name (RFC 6761): it is refused for that, not for the clear text.
    const { code, stderr } = await run(['ls', '--host', 'http://registry.invalid', '--insecure'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/the node at http:\/\/registry\.invalid does not answer: /)
  })

  it('refuses a token file that is empty or is no token', async () => {
    for (const content of ['', '\n', 'two words', '{"json": 1}']) {
      await writeFile(tokenFile, content)
      const { code, stderr } = await run(['ls', '--host', 'https://a.example', '--token-file', tokenFile])
      expect({ content, code }).toEqual({ content, code: 2 })
      expect(stderr).toContain(tokenFile)
    }
  })
})
