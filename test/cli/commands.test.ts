import { mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run, serve, stop, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

describe.each(['beside a running node', 'on the folder of a stopped node'])('%s', where => {
  const running = where === 'beside a running node'

  /** A node with images pushed to it, which has been stopped where the commands are to open the folder. */
  async function node(push: (url: string) => Promise<unknown>): Promise<string> {
    const dataDir = await temporaryFolder()
    const serving = await serve(dataDir)
    await push(serving.url)
    if (!running) expect(await stop(serving)).toBe(0)
    return dataDir
  }

  it('ls lists repositories, then tags with size and image CID', async () => {
    const data = await node(async url => {
      await pushImage(url, 'library/b', 'v1')
      await pushImage(url, 'a', 'v1', 'x')
      await pushImage(url, 'a', 'v2', 'y')
    })
    expect(await run(['ls', '--data', data])).toEqual({ code: 0, stdout: 'a\nlibrary/b\n', stderr: '' })
    const json = await run(['ls', '--json', '--data', data])
    expect(json.stdout).toBe('{"repository":"a"}\n{"repository":"library/b"}\n')
    const tags = await run(['ls', 'a', '--data', data])
    expect(tags.stdout).toMatch(
      /^TAG {2}DIGEST +SIZE {2}IMAGE CID\nv1 +sha256:\w{12} {2}2\.86 MiB {2}baf\w+\nv2 .*2\.86 MiB {2}baf\w+\n$/
    )
    const lines = (await run(['ls', 'a', '--json', '--data', data])).stdout.trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line))).toMatchObject([
      { repository: 'a', tag: 'v1', size: 3_000_436, mediaType: 'application/vnd.oci.image.manifest.v1+json' },
      { repository: 'a', tag: 'v2' }
    ])
  })

  it('inspect shows digests, sizes and CIDs by tag, by digest and as JSON', async () => {
    let digest = ''
    const data = await node(async url => {
      digest = (await pushImage(url, 'app', 'v1')).digest
    })
    const json = await run(['inspect', 'app:v1', '--json', '--data', data])
    const image = JSON.parse(json.stdout)
    expect(image).toMatchObject({ repository: 'app', tag: 'v1', digest, layers: [{ size: 3_000_000 }] })
    expect(image.imageCid).toMatch(/^baf/)
    const text = await run(['inspect', `app@${digest}`, '--data', data])
    expect(text.code).toBe(0)
    for (const said of [digest, image.imageCid, image.layers[0].digest, image.layers[0].cid, image.config.cid]) {
      expect(text.stdout).toContain(said)
    }
  })

  it('says what is not there with exit code 3, and what is no name with 2', async () => {
    const data = await node(url => pushImage(url, 'app', 'v1'))
    const missing = [
      ['inspect', 'app:v9'],
      ['inspect', 'nope'],
      ['ls', 'nope'],
      ['rm', 'app:v9', '--yes'],
      ['inspect', `app@sha256:${'0'.repeat(64)}`]
    ]
    for (const args of missing) {
      const { code, stderr, stdout } = await run([...args, '--data', data])
      expect({ args, code, stdout }).toEqual({ args, code: 3, stdout: '' })
      expect(stderr).toMatch(/^pinnace: (app|nope)\S*: .*\n$/)
    }
    for (const args of [
      ['inspect', 'App'],
      ['inspect', 'a@sha256:xyz'],
      ['ls', 'a//b'],
      ['rm', 'a:-', '--yes']
    ]) {
      const { code } = await run([...args, '--data', data])
      expect({ args, code }).toEqual({ args, code: 2 })
    }
  })

  it('rm removes what is there, tells what is not, and does not ask when nobody is there', async () => {
    const data = await node(async url => {
      await pushImage(url, 'app', 'v1', 'x')
      await pushImage(url, 'app', 'v2', 'y')
    })
    const silent = await run(['rm', 'app:v1', '--data', data])
    expect(silent).toEqual({ code: 2, stdout: '', stderr: 'pinnace: no terminal to ask on: pass --yes to remove\n' })
    const removed = await run(['rm', '--yes', 'app:v1', 'app:v9', 'app:v2', '--data', data])
    expect(removed).toMatchObject({ code: 3, stdout: 'removed app:v1 and 1 manifest\nremoved app:v2 and 1 manifest\n' })
    expect(removed.stderr).toContain('app:v9')
  })

  it('rm takes the manifest with its last tag, --keep leaves it, and ls --untagged lists what that leaves', async () => {
    let digest = ''
    const data = await node(async url => {
      digest = (await pushImage(url, 'app', 'v1')).digest
      await pushImage(url, 'app', 'v2')
      await pushImage(url, 'other', 'v1', 'y')
    })
    const there = ['--data', data]
    expect((await run(['rm', 'app:v1', '--yes', ...there])).stdout).toBe(
      'removed app:v1; its manifest stays: app:v2 names it too\n'
    )
    expect((await run(['rm', 'app:v2', '--keep', '--yes', ...there])).stdout).toBe('removed app:v2\n')
    const untagged = await run(['ls', '--untagged', ...there])
    expect(untagged.stdout).toMatch(
      new RegExp(`^MANIFEST +SIZE +UNUSED FOR\\napp@${digest} +2\\.86 MiB +\\d+ minutes?\\n$`)
    )
    const [line = ''] = (await run(['ls', 'app', '--untagged', '--json', ...there])).stdout.split('\n')
    expect(JSON.parse(line)).toMatchObject({ repository: 'app', digest, size: 3_000_436, used: expect.any(Number) })
    expect(await run(['ls', 'other', '--untagged', ...there])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'a tag, an index or a subject leads to every manifest\n'
    })
    expect((await run(['ls', 'nope', '--untagged', ...there])).code).toBe(3)
    expect((await run(['rm', `app@${digest}`, '--yes', ...there])).stdout).toBe(`removed app@${digest}\n`)
  })

  it('rm --all takes a repository, and gc says what it spared and frees the rest', async () => {
    const data = await node(async url => {
      await pushImage(url, 'team/app', 'v1')
      await pushImage(url, 'team/app', 'v2', 'y')
      await pushImage(url, 'other', 'v1', 'z')
    })
    const there = ['--data', data]
    await run(['rm', 'other:v1', '--yes', ...there])
    expect((await run(['gc', ...there])).stdout).toBe(
      'freed 0 blobs (0 B), 0 links, 0 manifests\nspared 2.86 MiB: pushed within 24h\n'
    )
    expect((await run(['rm', 'team/app', '--all', '--keep', '--yes', ...there])).code).toBe(2)
    expect((await run(['rm', 'team/app', '--all', '--yes', ...there])).stdout).toBe(
      'removed team/app: 2 tags, 2 manifests, 3 blobs\n'
    )
    expect((await run(['rm', 'team/app', '--all', '--yes', ...there])).code).toBe(3)
    const options = ['--grace', '0s', '--force', ...there]
    expect((await run(['gc', '--dry-run', ...options])).stdout).toMatch(/^would free 4 blobs \(8\.58 MiB\), 2 links/)
    expect((await run(['gc', ...options])).stdout).toMatch(/^freed 4 blobs \(8\.58 MiB\), 2 links/)
  })

  it('gc says where it did not do what it was asked', async () => {
    const data = await node(url => pushImage(url, 'app', 'v1'))
    const there = ['--data', data]
    const grace = await run(['gc', '--grace', '0s', ...there])
    if (running)
      expect(grace.stderr).toMatch(/^pinnace: the node serves, so .* in the last 15m was spared; with --force/)
    else expect(grace.stderr).toBe('')
    expect(JSON.parse((await run(['gc', '--grace', '0s', '--json', ...there])).stdout)).toMatchObject({
      serving: running,
      graceMs: running ? 900_000 : 0
    })
    const { stderr } = await run(['gc', ...there], { REGISTRY_IPFS_GC_GRACE: '1h' })
    expect(stderr).toBe(
      running
        ? 'pinnace: REGISTRY_IPFS_GC_GRACE is read when a node starts, and the running one has 24h: pass --grace 1h\n'
        : ''
    )
    for (const args of [
      ['--force'],
      ['--grace', '1d'],
      ['--untagged', 'never'],
      ['--untagged', '1h', '--delete-untagged']
    ]) {
      expect({ args, code: (await run(['gc', ...args, ...there])).code }).toEqual({ args, code: 2 })
    }
  })

  it('rm by digest takes the tags with it, and gc then frees the bytes', async () => {
    let digest = ''
    const data = await node(async url => {
      digest = (await pushImage(url, 'app', 'v1')).digest
    })
    expect((await run(['rm', '--yes', `app@${digest}`, '--data', data])).code).toBe(0)
    expect((await run(['inspect', 'app:v1', '--data', data])).code).toBe(3)
    const dry = await run(['gc', '--dry-run', '--json', '--data', data])
    expect(JSON.parse(dry.stdout)).toMatchObject({ dryRun: true })
    const report = JSON.parse((await run(['gc', '--json', '--data', data])).stdout)
    // Pushed a moment ago, so the grace period spares them.
    expect(report).toMatchObject({ dryRun: false, blobs: 0 })
    expect((await run(['gc', '--data', data])).stdout).toMatch(/^freed 0 blobs \(0 B\), /)
  })

  it('id prints the peer ID, the same in both forms', async () => {
    const data = await node(async () => {})
    const { peerId, multiaddrs } = JSON.parse((await run(['id', '--json', '--data', data])).stdout)
    expect(peerId).toMatch(/^12D3Koo/)
    expect((await run(['id', '--data', data])).stdout.split('\n')[0]).toBe(peerId)
    if (running) expect(multiaddrs[0]).toMatch(new RegExp(`^/ip4/127.0.0.1/tcp/\\d+/p2p/${peerId}$`))
    else expect(multiaddrs).toEqual([])
  })

  it('scrub ends with 5 and names blob and image when bytes have rotted', async () => {
    let layer = ''
    const data = await node(async url => {
      layer = (await pushImage(url, 'app', 'v1')).layer.digest
    })
    expect(await run(['scrub', '--data', data])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ 0 damaged\n$/)
    })
    await truncate(await findBlob(data, layer), 2_999_999)
    const { code, stdout } = await run(['scrub', '--json', '--data', data])
    expect(code).toBe(5)
    const [damage, report] = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(damage).toMatchObject({ damage: { digest: layer, problem: 'corrupt', repaired: false } })
    expect(damage.damage.images.join()).toContain('app')
    expect(report).toMatchObject({ report: { damages: 1, quarantine: { files: 1, bytes: 2_999_999 } } })
    expect((await stat(damage.damage.quarantined)).size).toBe(2_999_999)
    const again = await run(['scrub', '--data', data])
    expect(again.code).toBe(5)
    expect(again.stdout).toContain('  needed by app:v1\n  push app:v1 again\n')
    expect(again.stdout).toMatch(/, 1 damaged, 1 not repaired\nquarantine\/ holds 1 file \(2\.86 MiB\): /)
  })

  it('quarantine ls shows what was put aside, and rm removes it, asked or told', async () => {
    const data = await node(async () => {})
    for (const name of ['one', 'two', 'three']) await writeFile(join(data, 'quarantine', name), name)
    const { stdout } = await run(['quarantine', 'ls', '--data', data])
    expect(stdout).toMatch(/^NAME +SIZE +SINCE +STATE\n/)
    expect(stdout).toMatch(/^three +5 B +\d{4}-\d\d-\d\d +unneeded$/m)
    const json = (await run(['quarantine', 'ls', '--json', '--data', data])).stdout.trimEnd().split('\n')
    const listed = json.map(line => JSON.parse(line)).sort((left, right) => left.size - right.size)
    expect(listed).toMatchObject([{ size: 3 }, { size: 3 }, { name: 'three', size: 5, state: 'unneeded' }])
    const rm = async (...args: string[]) => run(['quarantine', 'rm', ...args, '--data', data])
    expect(await rm('one')).toEqual({
      code: 2,
      stdout: '',
      stderr: 'pinnace: no terminal to ask on: pass --yes to remove\n'
    })
    expect(await rm('--yes')).toMatchObject({ code: 2, stderr: 'pinnace: name the files to remove, or pass --all\n' })
    expect(await rm('one', '--all', '--yes')).toMatchObject({ code: 2 })
    expect(await rm('--yes', 'one', '../layout')).toMatchObject({
      code: 3,
      stdout: 'removed one\n',
      stderr: 'pinnace: quarantine/ has no file ../layout\n'
    })
    expect(await rm('--yes', '--all')).toEqual({ code: 0, stdout: 'removed 2 files (8 B)\n', stderr: '' })
    expect(await readdir(join(data, 'quarantine'))).toEqual([])
    expect((await stat(join(data, 'layout'))).isFile()).toBe(true)
  })
})

async function findBlob(data: string, digest: string): Promise<string> {
  const hex = digest.slice('sha256:'.length)
  const files = await readdir(join(data, 'blobs'), { recursive: true })
  const file = files.find(name => name.endsWith(hex))
  if (file === undefined) throw new Error(`no file for ${digest}`)
  return join(data, 'blobs', file)
}

describe('without a node', () => {
  it('says that there is no data folder, and makes none, nor touches what is there', async () => {
    const folder = await temporaryFolder()
    const [none, other] = [join(folder, 'none'), join(folder, 'other')]
    await mkdir(join(other, 'stuff'), { recursive: true })
    const { mtimeMs } = await stat(other)
    const commands = [
      ['ls'],
      ['id'],
      ['gc'],
      ['scrub'],
      ['inspect', 'app'],
      ['rm', 'app', '--yes'],
      ['token', 'ls'],
      ['token', 'create', '--repo', '**', '--actions', 'pull'],
      ['key', 'export'],
      ['key', 'rotate', '--yes']
    ]
    for (const [at, args] of commands.entries()) {
      const data = at % 2 === 0 ? none : other
      const { code, stdout, stderr } = await run([...args, '--data', data])
      expect({ args, code, stdout }).toEqual({ args, code: 3, stdout: '' })
      expect(stderr).toContain(`no data folder of Pinnace here: ${data}`)
    }
    await expect(stat(none)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readdir(other)).toEqual(['stuff'])
    expect((await stat(other)).mtimeMs).toBe(mtimeMs)
    const served = await run(['serve', '--data', other])
    expect(served).toMatchObject({ code: 1, stderr: expect.stringContaining('other things (stuff)') })
    expect(await readdir(other)).toEqual(['stuff'])
  })

  it('prints its version, plain and as JSON', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
    expect((await run(['version'])).stdout).toMatch(new RegExp(`^pinnace ${version} \\(Node\\.js \\d+\\.`))
    expect(JSON.parse((await run(['version', '--json'])).stdout)).toMatchObject({ version, platform: process.platform })
  })

  it('checks a configuration: every problem, warnings, and the data folder', async () => {
    const folder = await temporaryFolder()
    const file = join(folder, 'config.yml')
    await writeFile(file, 'version: 0.1\nhttp:\n  adr: :5000\n  draintimeout: soon\n')
    const bad = await run(['config', 'check', file], { HOME: folder })
    expect(bad.code).toBe(2)
    expect(bad.stderr).toMatch(/2 problems:\n.*config\.yml:3: .*adr.*addr.*\n.*config\.yml:4: .*draintimeout/)
    const good = await run(['config', 'check', '--data', join(folder, 'data')])
    expect(good).toMatchObject({ code: 0, stderr: '' })
    expect(good.stdout).toMatch(
      /the configuration is good \(no file, 2 REGISTRY_… variables\)\ndata folder: .*\/data \(made at/
    )
    const blocked = await run(['config', 'check', '--data', file])
    expect(blocked).toMatchObject({ code: 2, stderr: expect.stringContaining(`${file} is not a folder`) })
  })

  it('prints the configuration without secrets, in a form it reads again', async () => {
    const folder = await temporaryFolder()
    const { stdout, code } = await run(['config', 'print', '--data', folder], { REGISTRY_HTTP_SECRET: 'hunter2' })
    expect(code).toBe(0)
    expect(stdout).toContain(`rootdirectory: ${folder}`)
    expect(stdout).not.toContain('hunter2')
    await writeFile(join(folder, 'printed.yml'), stdout)
    const again = await run(['config', 'print', join(folder, 'printed.yml')], { REGISTRY_HTTP_SECRET: 'another' })
    expect(again.stdout).toBe(stdout)
  })
})

describe('help', () => {
  const commands = [
    'serve',
    'inspect',
    'id',
    'key',
    'ls',
    'rm',
    'gc',
    'scrub',
    'quarantine',
    'token',
    'user',
    'config',
    'version',
    'health'
  ]
  const below = [
    'token create',
    'token ls',
    'token rm',
    'user hash',
    'key export',
    'key import',
    'key rotate',
    'quarantine ls',
    'quarantine rm',
    'config check',
    'config print'
  ]

  it('lists every command, examples and exit codes', async () => {
    const { code, stdout } = await run(['--help'])
    expect(code).toBe(0)
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'))
    expect(stdout).toMatch(/Examples:[\s\S]*Exit codes:\n {2}0 +done\n/)
  })

  it.each([...commands.filter(command => !below.some(one => one.startsWith(`${command} `))), ...below])(
    'of %s has examples',
    async command => {
      const { code, stdout } = await run([...command.split(' '), '--help'])
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`^Usage: pinnace ${command}`))
      expect(stdout).toMatch(new RegExp(`Examples:\n(.*\n)*.*pinnace ${command}`))
      expect(stdout).toContain('--data <dir>')
    }
  )

  it('of a wrong command line is on standard error, with exit code 2', async () => {
    for (const args of [[], ['nope'], ['ls', '--nope'], ['inspect'], ['serve', 'a.yml', 'b.yml']]) {
      const { code, stdout, stderr } = await run(args)
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
      expect(stderr).not.toBe('')
    }
  })
})
