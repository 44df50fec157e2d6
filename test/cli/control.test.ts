import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { type DataFolder, openDataFolder } from '../../src/data-folder.ts'
import { controlProtocol } from '../../src/http/control-protocol.ts'
import { run, start, temporaryFolder } from './command.ts'

let server: Server | undefined
let folder: DataFolder | undefined

afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
  await folder?.close()
  server = undefined
  folder = undefined
})

/** A node of this process that answers commands with `answer` and, to be accepted, its version with `protocol`. */
async function answering(answer: RequestListener, protocol = controlProtocol): Promise<string> {
  folder = await openDataFolder(await temporaryFolder(), { command: 'serve', create: true })
  server = createServer((request, response) => {
    if (request.url === '/version') response.end(JSON.stringify({ version: '9.9.9', protocol }))
    else answer(request, response)
  })
  server.listen(await folder.publishControlSocket())
  await once(server, 'listening')
  return folder.path
}

const progress = { progress: { blobs: 41, manifests: 1, bytes: 4096, damages: 0 } }

describe('a long command', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143]
  ] as const)('tells how far it is, and by %s hangs up, which stops the work', async (signal, code) => {
    const { promise: hungUp, resolve } = Promise.withResolvers<void>()
    const data = await answering((_request, response) => {
      response.once('close', resolve)
      response.write(`${JSON.stringify(progress)}\n`)
    })
    const command = start(['scrub', '--data', data])
    await command.untilError(/^Scrubbing: 41 blobs, 1 manifest \(4\.00 KiB\), 0 damaged\n/)
    command.child.kill(signal)
    await hungUp
    expect(await command.ended).toBe(code)
    expect(command.stderr()).toMatch(/pinnace: interrupted\n$/)
    expect(command.stdout()).toBe('')
  })

  it('fails when the node breaks off, and when it says that the work failed', async () => {
    const broken = await answering((_request, response) => {
      response.write(`${JSON.stringify(progress)}\n`, () => response.destroy())
    })
    expect(await run(['scrub', '--data', broken])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/broke off/)
    })
    await folder?.close()
    const failing = await answering((_request, response) => {
      const error = { reason: 'STORAGE_FULL', errors: [{ code: 'UNAVAILABLE', message: 'no space left here' }] }
      response.end(`${JSON.stringify(progress)}\n${JSON.stringify({ error })}\n`)
    })
    expect(await run(['scrub', '--data', failing])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'pinnace: no space left here\n'
    })
  })
})

describe('a running node', () => {
  it('of another protocol is not misread', async () => {
    const data = await answering((_request, response) => void response.end('{}'), controlProtocol + 1)
    const { code, stderr } = await run(['id', '--data', data])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^pinnace: the running node is Pinnace 9\.9\.9 .*\n$/)
  })

  it('that does not answer is named as busy', async () => {
    const data = await answering((_request, response) => void response.end('{}'))
    await new Promise(closed => server?.close(closed))
    const { code, stderr } = await run(['id', '--data', data])
    expect(code).toBe(4)
    expect(stderr).toMatch(/^pinnace: a node is running and does not answer on .*control\.sock: .*\n$/)
  })
})

it('a folder that another command has is refused, naming that', async () => {
  folder = await openDataFolder(await temporaryFolder(), { command: 'scrub', create: true })
  const { code, stderr } = await run(['gc', '--data', folder.path])
  expect(code).toBe(4)
  expect(stderr).toContain(`is in use by process ${process.pid} (pinnace scrub, since `)
})

it('a node that is just starting is waited for', async () => {
  folder = await openDataFolder(await temporaryFolder(), { command: 'serve', create: true })
  const command = start(['id', '--data', folder.path])
  server = createServer((request, response) => {
    const body =
      request.url === '/version'
        ? { version: '9.9.9', protocol: controlProtocol }
        : { peerId: '12D3KooX', multiaddrs: [] }
    response.end(JSON.stringify(body))
  })
  server.listen(await folder.publishControlSocket())
  await once(server, 'listening')
  expect(await command.ended).toBe(0)
  expect(command.stdout()).toBe('12D3KooX\n')
})
