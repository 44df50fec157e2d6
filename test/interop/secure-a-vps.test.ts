import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Daemon } from './daemon.ts'
import { type Dockerd, startDockerd } from './dockerd.ts'
import { blocksOf, type DocumentBlock } from './document-blocks.ts'
import { freeLoopbackPort, type Pebble, startPebble } from './pebble.ts'
import { makePretendServer, type PretendServer } from './pretend-server.ts'
import { describeWithTools, type RunResult, requireTool, runProgram } from './tools.ts'

const document = readFileSync(new URL('../../docs/secure-a-vps.md', import.meta.url), 'utf8')
const blocks = blocksOf(document)
const name = 'registry.example.com'
const password = 'chosen by whoever reads the document'

/** Every block is typed, in its order, by somebody who changes nothing but the name of the machine. */
describeWithTools(['dockerd', 'docker', 'busybox', 'tar', 'umount', 'pebble'], 'docs/secure-a-vps.md', () => {
  let port: number
  let pebble: Pebble
  let server: PretendServer
  let engine: Dockerd
  let service: Daemon | undefined
  /** What the document shows once. */
  let secret = ''

  beforeAll(async () => {
    port = await freeLoopbackPort()
    ;[pebble, engine] = await Promise.all([startPebble({ tlsPort: port }), startDockerd()])
    server = await makePretendServer({
      substitutions: {
        [name]: 'localhost',
        'addr: :443': `addr: 127.0.0.1:${port}`,
        'email: you@example.com': `email: you@example.com\n      directoryurl: ${pebble.directoryUrl}`
      },
      env: { NODE_EXTRA_CA_CERTS: pebble.authority, REGISTRY_IPFS_LISTEN: '[/ip4/127.0.0.1/tcp/0]' }
    })
    await engine.importBusybox('alpine')
  })
  afterAll(async () => {
    await service?.stop()
    await server?.close()
    await engine?.close()
    await pebble?.close()
  })

  /** On the laptop `docker login` asks for the password on the terminal; here it comes through a pipe. */
  const onLaptop = (script: string, exitCodes = [0]): Promise<RunResult> => {
    const docker = requireTool('docker')
    const typed = script.includes('-u robot') ? secret : password
    const wrapper = `docker() { case $1 in login) shift; printf %s "$TYPED" | ${docker} login --password-stdin "$@" ;; *) ${docker} "$@" ;; esac; }`
    const here = script.replaceAll(name, `localhost:${port}`)
    const env = {
      DOCKER_HOST: engine.host,
      TYPED: typed,
      DOCKER_CONFIG: `${engine.host.replace('unix://', '')}.config`
    }
    return runProgram('/bin/bash', ['-eo', 'pipefail', '-c', `${wrapper}\n${here}`], { env, exitCodes })
  }

  const follow = async ({ language, place, text }: DocumentBlock): Promise<void> => {
    if (place.startsWith('/')) return server.writeFile(place, text)
    expect(language).toBe('sh')
    if (place === 'laptop') return void (await onLaptop(text))
    expect(place).toBe('server')
    const { stdout } = await server.run(text, `${password}\n`)
    if (/\btoken create\b/.test(text)) secret = stdout.trim()
    if (/\bsystemctl enable --now pinnace\b/.test(text)) {
      service = await server.startUnit('/etc/systemd/system/pinnace.service', /Registry/)
    }
  }

  for (const [at, block] of blocks.entries()) {
    const [first = ''] = block.text.split('\n')
    it(`${at + 1}. ${block.place}: ${first}`, async () => {
      try {
        await follow(block)
      } catch (cause) {
        throw new Error(`${cause instanceof Error ? cause.message : cause}\n${service?.logs() ?? ''}`, { cause })
      }
    })
  }

  it('says all there is to type', () => {
    expect(blocks.map(({ place }) => place)).toContain('/etc/pinnace/config.yml')
    expect(document.match(/^```\w/gm)).toHaveLength(blocks.length)
    expect(secret).toMatch(/^pinnace_\w+$/)
  })

  it('has a certificate of the authority that it asked, for its name', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const options = { ca: pebble.root, host: 'localhost', port, path: '/v2/', timeout: 20_000 }
      request(options, response => resolve(response.resume().statusCode))
        .once('error', reject)
        .end()
    })
    expect(status).toBe(401)
  })

  it('keeps out whoever was not let in, and the robot whose token was removed', async () => {
    const refused = async (command: string): Promise<string> => (await onLaptop(command, [1])).stderr
    expect(await refused(`docker pull ${name}/team/app:v1`)).toMatch(/unauthorized/)
    await onLaptop(`docker logout ${name} && docker pull ${name}/public/alpine`)
    expect(await refused(`docker pull ${name}/team/app:v1`)).toMatch(/unauthorized/)
    expect(await refused(`docker push ${name}/team/app:v1`)).toMatch(/unauthorized|authentication required/)
    expect(service?.logs()).not.toContain(secret)
  })
})
