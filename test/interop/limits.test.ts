import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDockerd } from './dockerd.ts'
import { type Image, imageOf, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { ask, openUpload, pushImage, validateImage } from './registry-api.ts'
import { describeWithTools, runTool, type ToolName } from './tools.ts'

interface LoggedRequest {
  time: number
  status: number
  agent: string
  url: string
}

/** The requests of one client that the node has logged, oldest first. */
function requestsOf(node: Pinnace, agent: string): LoggedRequest[] {
  const form = /time="([^"]+)" level=\w+ msg="request" .*url=(\S+) status=(\d+) .*userAgent=(.*)$/
  return node
    .logs()
    .split('\n')
    .map(line => form.exec(line))
    .filter(match => match !== null)
    .map(([, time = '', url = '', status = '', userAgent = '']) => ({
      time: Date.parse(time),
      status: Number(status),
      agent: userAgent,
      url
    }))
    .filter(request => request.agent.includes(agent))
}

/** Until the node has refused this client once. */
async function refused(node: Pinnace, agent: string): Promise<LoggedRequest> {
  const deadline = AbortSignal.timeout(60_000)
  for (;;) {
    const found = requestsOf(node, agent).find(({ status }) => status === 429)
    if (found !== undefined) return found
    deadline.throwIfAborted()
    await wait(50)
  }
}

/** Uploads of which only the first bytes come, each in one of the places that `ipfs.limits.uploads` gives. */
async function holdUploads(node: Pinnace, count: number): Promise<() => Promise<void>> {
  const held = await Promise.all(
    Array.from({ length: count }, async () => {
      const url = new URL(await openUpload(node.url, 'held'))
      const socket = connect(Number(url.port), url.hostname)
      await once(socket, 'connect')
      const lines = [`PATCH ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`, 'Content-Length: 4']
      socket.write([...lines, 'Expect: 100-continue', '', ''].join('\r\n'))
      // The body is asked for once it has its place.
      const [answer] = await once(socket, 'data')
      expect(String(answer)).toMatch(/^HTTP\/1\.1 100 /)
      socket.write('ab')
      return socket
    })
  )
  return async () => {
    for (const socket of held) {
      socket.write('cd')
      const [answer] = await once(socket, 'data')
      expect(String(answer)).toMatch(/^HTTP\/1\.1 202 /)
      socket.destroy()
    }
  }
}

let folder: string
let image: Image
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-limits-test-'))
  image = imageOf([tarOf({ random: randomBytes(300_000) })])
  await writeLayout(join(folder, 'layout'), { v1: image })
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

const layout = (): string => join(folder, 'layout')
const pushes = {
  crane: host => ['push', layout(), `${host}/crane:v1`],
  oras: host => ['cp', '--no-tty', '--from-oci-layout', '--to-plain-http', `${layout()}:v1`, `${host}/oras:v1`],
  regctl: host => {
    const plain = ['--host', `reg=${host},tls=disabled`]
    return [...plain, 'image', 'copy', `ocidir://${layout()}:v1`, `${host}/regctl:v1`]
  },
  skopeo: host => {
    const flags = ['--insecure-policy', 'copy', '--dest-tls-verify=false']
    return [...flags, `oci:${layout()}:v1`, `docker://${host}/skopeo:v1`]
  }
} satisfies Partial<Record<ToolName, (host: string) => string[]>>

describe('ipfs.limits.uploads', () => {
  it('lets a body wait, then says when to come again, and keeps the session', async () => {
    const node = await startPinnace({ config: { ipfs: { limits: { uploads: 1 } } } })
    try {
      const release = await holdUploads(node, 1)
      const location = await openUpload(node.url, 'app')
      const patch = () => fetch(location, { method: 'PATCH', body: 'more' })
      const answer = await patch()
      expect(answer.status).toBe(429)
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(await answer.json()).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] })
      // What has no body is no upload.
      expect((await ask(node.url, 'app/tags/list')).status).not.toBe(429)
      await release()
      expect((await patch()).status).toBe(202)
    } finally {
      await node.close()
    }
  })

  for (const [tool, command] of Object.entries(pushes)) {
    const name = tool as keyof typeof pushes
    describeWithTools([name], name, () => {
      it('pushes when its turn comes', async () => {
        const node = await startPinnace({ config: { ipfs: { limits: { uploads: 1 } } } })
        try {
          const release = await holdUploads(node, 1)
          const push = runTool(name, command(node.host))
          const opened = () => requestsOf(node, '').filter(({ url }) => url.includes(`/${name}/blobs/uploads/`)).length
          await expect.poll(opened, { timeout: 30_000 }).toBeGreaterThan(0)
          await release()
          await push
          await validateImage(node.url, name, 'v1', image)
          expect(requestsOf(node, '').filter(({ status }) => status === 429)).toEqual([])
        } finally {
          await node.close()
        }
      })
    })
  }

  describeWithTools(['dockerd', 'docker', 'busybox', 'tar', 'umount'], 'the Docker engine', () => {
    it('pushes when its turn comes', async () => {
      const [node, engine] = await Promise.all([
        startPinnace({ config: { ipfs: { limits: { uploads: 1 } } } }),
        startDockerd()
      ])
      try {
        const name = `${node.host}/docker:v1`
        await engine.importBusybox(name)
        const release = await holdUploads(node, 1)
        const push = engine.docker(['push', name])
        const opened = () => requestsOf(node, 'docker/').filter(({ url }) => url.includes('/uploads/')).length
        await expect.poll(opened, { timeout: 30_000 }).toBeGreaterThan(0)
        await release()
        expect((await push).stdout).toMatch(/digest: sha256:/)
        expect(requestsOf(node, '').filter(({ status }) => status === 429)).toEqual([])
      } finally {
        await engine.close()
        await node.close()
      }
    })
  })

  // The others give up: they cannot send a stream again.
  describeWithTools(['crane', 'regctl'], 'crane and regctl', () => {
    it('come again after a refusal', async () => {
      const node = await startPinnace({ config: { ipfs: { limits: { uploads: 2 } } } })
      try {
        const release = await holdUploads(node, 2)
        const all = Promise.all([
          runTool('crane', pushes.crane(node.host)),
          runTool('regctl', pushes.regctl(node.host))
        ])
        const told = Promise.all([refused(node, 'crane'), refused(node, 'regctl')])
        await Promise.race([told, all])
        await release()
        await all
        await told
        for (const name of ['crane', 'regctl']) await validateImage(node.url, name, 'v1', image)
      } finally {
        await node.close()
      }
    })
  })
})

describe.concurrent('ipfs.limits.sockets', () => {
  const pulls = {
    crane: host => ['validate', '--remote', `${host}/app:v1`],
    oras: host => ['cp', '--no-tty', '--to-oci-layout', '--from-plain-http', `${host}/app:v1`, `${folder}/oras:v1`],
    regctl: host => ['--host', `reg=${host},tls=disabled`, 'image', 'copy', `${host}/app:v1`, `ocidir://${folder}/reg`],
    skopeo: host => {
      const flags = ['--insecure-policy', 'copy', '--src-tls-verify=false']
      return [...flags, `docker://${host}/app:v1`, `oci:${folder}/skopeo`]
    }
  } satisfies Partial<Record<ToolName, (host: string) => string[]>>
  const sockets = 16
  /** Seconds that these wait where they are told so; oras waits at most three, crane as it likes. */
  const obedient: readonly string[] = ['regctl', 'skopeo']

  /** Connections that say nothing, until every place is taken. */
  async function occupy(node: Pinnace): Promise<Socket[]> {
    const { port, hostname } = new URL(node.url)
    const idle = Array.from({ length: sockets }, () => connect(Number(port), hostname).on('error', () => {}))
    await Promise.all(idle.map(socket => once(socket, 'connect')))
    // A connection of the test's own that fetch keeps open would still be answered.
    const answer = async () => (await fetch(`${node.url}/v2/`, { headers: { Connection: 'close' } })).status
    await expect.poll(answer, { timeout: 30_000 }).toBe(429)
    return idle
  }

  for (const [tool, command] of Object.entries(pulls)) {
    const name = tool as keyof typeof pulls
    describeWithTools([name], name, () => {
      it('comes again when it was told so, and pulls', async () => {
        const node = await startPinnace({ config: { ipfs: { limits: { sockets } } } })
        try {
          await pushImage(node.url, 'app', 'v1', image)
          const idle = await occupy(node)
          const told = await fetch(`${node.url}/v2/`, { headers: { Connection: 'close' } })
          const seconds = Number(told.headers.get('retry-after'))
          const pull = runTool(name, command(node.host))
          const agent = name === 'regctl' ? 'regclient' : name
          const first = await Promise.race([refused(node, agent), pull.then(() => undefined)])
          for (const socket of idle) socket.destroy()
          await pull
          if (first === undefined) throw new Error('never refused')
          const [next] = requestsOf(node, agent).filter(({ time }) => time > first.time)
          // The log's clock cuts milliseconds; a client may only be later than it was told, never sooner.
          if (obedient.includes(name)) expect((next?.time ?? 0) - first.time).toBeGreaterThan(seconds * 1000 - 100)
        } finally {
          await node.close()
        }
      })
    })
  }
})
