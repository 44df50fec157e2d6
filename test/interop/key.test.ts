import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startPinnace } from './node.ts'
import { describeWithTools, type RunResult, runProgram, runTool } from './tools.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const formats = ['libp2p-protobuf-cleartext', 'pem-pkcs8-cleartext'] as const

describeWithTools(['ipfs'], 'Keys go between Kubo and a node', () => {
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-key-'))
    await ipfs('init', '--profile=test')
  })

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  const ipfs = (...args: string[]): Promise<RunResult> =>
    runTool('ipfs', args, { env: { IPFS_PATH: join(folder, 'kubo'), IPFS_TELEMETRY: 'off' } })

  /** `pinnace` on the data folder `name`, which keeps to itself and loopback. */
  const pinnace = (name: string, ...args: string[]): Promise<RunResult> =>
    runProgram(process.execPath, [main, ...args, '--data', join(folder, name)], {
      env: { REGISTRY_IPFS_LISTEN: '[]', REGISTRY_HTTP_ADDR: '127.0.0.1:0' }
    })

  /** Peer ID of a key in Kubo's keystore. */
  async function peerIdInKubo(name: string): Promise<string | undefined> {
    const { stdout } = await ipfs('key', 'list', '-l', '--ipns-base=b58mh')
    return stdout
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .find(([, named]) => named === name)?.[0]
  }

  it.each(formats)('out of the node, as %s', async format => {
    const data = `out-${format}`
    await (await startPinnace({ dataDir: join(folder, data) })).close()
    const peerId = (await pinnace(data, 'id')).stdout.trim()
    const file = join(folder, `${data}.key`)
    await pinnace(data, 'key', 'export', '--format', format, '--out', file)
    await ipfs('key', 'import', data, file, `--format=${format}`)
    expect(await peerIdInKubo(data)).toBe(peerId)
  })

  it.each(formats)('into the node, as %s', async format => {
    const name = `in-${format}`
    const file = join(folder, `${name}.key`)
    await ipfs('key', 'gen', '--type=ed25519', name)
    await ipfs('key', 'export', name, `--format=${format}`, '--output', file)
    await pinnace(name, 'key', 'import', file)
    expect((await pinnace(name, 'id')).stdout.trim()).toBe(await peerIdInKubo(name))
  })

  it.each(formats)('and what the node exports is what Kubo exports, as %s', async format => {
    const name = `same-${format}`
    const [kubos, ours] = [join(folder, `${name}.kubo`), join(folder, `${name}.pinnace`)]
    await ipfs('key', 'gen', '--type=ed25519', name)
    await ipfs('key', 'export', name, `--format=${format}`, '--output', kubos)
    await pinnace(name, 'key', 'import', kubos)
    await pinnace(name, 'key', 'export', '--format', format, '--out', ours)
    expect((await readFile(ours)).equals(await readFile(kubos))).toBe(true)
    expect((await stat(ours)).mode & 0o777).toBe(0o600)
  })

  it('takes over the identity of a Kubo repository, and refuses its RSA keys', async () => {
    const config: { Identity: { PeerID: string; PrivKey: string } } = JSON.parse(
      await readFile(join(folder, 'kubo', 'config'), 'utf8')
    )
    await writeFile(join(folder, 'self.key'), Buffer.from(config.Identity.PrivKey, 'base64'))
    await pinnace('self', 'key', 'import', join(folder, 'self.key'))
    expect((await pinnace('self', 'id')).stdout.trim()).toBe(config.Identity.PeerID)
    await ipfs('key', 'gen', '--type=rsa', '--size=2048', 'rsa')
    for (const format of formats) {
      const file = join(folder, `rsa-${format}`)
      await ipfs('key', 'export', 'rsa', `--format=${format}`, '--output', file)
      await expect(pinnace('rsa', 'key', 'import', file)).rejects.toThrow(/it is an rsa key/i)
    }
  })
})
