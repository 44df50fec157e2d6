import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rename, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { emptyList, run, type Started, type StartOptions, serve, stop, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

const mayMount = process.platform === 'linux' && process.getuid?.() === 0

/** As an operator makes it: sockets, times and owners too. */
function copy(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to])
}

/** What `pinnace ls app` shows: the tags. */
async function tagsOf(data: string): Promise<string[]> {
  const { code, stdout, stderr } = await run(['ls', 'app', '--json', '--data', data])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const lines = stdout.split('\n').filter(line => line !== '')
  return lines.map(line => JSON.parse(line).tag)
}

async function killed({ child, ended }: Started): Promise<void> {
  child.kill('SIGKILL')
  await ended
}

async function recordOf(data: string): Promise<{ file: string; record: Record<string, unknown> }> {
  const names = await readdir(join(data, 'lock'))
  const file = join(data, 'lock', String(Math.max(...names.map(Number))))
  return { file, record: JSON.parse(await readFile(file, 'utf8')) }
}

describe('a copy of the folder of a running node', () => {
  it('is a folder of its own: what commands and a second node do there leaves the original alone', async () => {
    const folder = await temporaryFolder()
    const [original, other] = [join(folder, 'original'), join(folder, 'copy')]
    const first = await serve(original)
    await pushImage(first.url, 'app', 'v1', 'x')
    copy(original, other)
    await pushImage(first.url, 'app', 'v2', 'y')
    expect(await tagsOf(other)).toEqual(['v1'])
    expect(await run(['rm', 'app:v1', '--yes', '--data', other])).toMatchObject({ code: 0 })
    expect(await tagsOf(original)).toEqual(['v1', 'v2'])

    const second = await serve(other)
    await pushImage(second.url, 'app', 'v3', 'z')
    expect(await tagsOf(other)).toEqual(['v3'])
    expect(await tagsOf(original)).toEqual(['v1', 'v2'])
    expect(await stop(second)).toBe(0)
    expect(await tagsOf(original)).toEqual(['v1', 'v2'])
    expect(await stop(first)).toBe(0)
  })

  it('of hard links shares the database, which is refused', async () => {
    const folder = await temporaryFolder()
    const [original, other] = [join(folder, 'original'), join(folder, 'copy')]
    const node = await serve(original)
    await pushImage(node.url, 'app', 'v1')
    execFileSync('cp', ['-al', original, other])
    const refused = await run(['rm', 'app:v1', '--yes', '--data', other])
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringMatching(/metadata in .*copy.* in use/) })
    expect(await tagsOf(original)).toEqual(['v1'])
  })

  it('of a version that does not name its folder is held, and says what to do', async () => {
    const folder = await temporaryFolder()
    const [original, other] = [join(folder, 'original'), join(folder, 'copy')]
    const node = await serve(original)
    const { file, record } = await recordOf(original)
    const { folder: _named, host: _host, ...before } = record
    await writeFile(file, JSON.stringify(before))
    copy(original, other)
    expect(await run(['ls', '--data', original])).toEqual(emptyList)
    const gc = await run(['gc', '--data', other])
    expect(gc).toMatchObject({ code: 4, stdout: '' })
    expect(gc.stderr).toContain(`process ${node.child.pid} of an older version (pinnace serve, since `)
    expect(gc.stderr).toContain(`when this is a copy of its folder, remove ${join(other, 'lock')}\n`)
    // As it says.
    await unlink(join(other, 'lock', file.slice(file.lastIndexOf('/') + 1)))
    expect(await run(['ls', '--data', other])).toEqual(emptyList)
  })
})

describe('the folder of a running node', () => {
  it('is the same one behind a link and after it was renamed', async () => {
    const folder = await temporaryFolder()
    const [original, link, renamed] = [join(folder, 'original'), join(folder, 'link'), join(folder, 'renamed')]
    const node = await serve(original)
    await symlink(original, link)
    const refused = await run(['serve', '--data', link])
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining(`in use by process ${node.child.pid} `) })
    // Until then it still makes files by the old name.
    await node.until(/Multiaddr/)
    await rename(original, renamed)
    const moved = await run(['serve', '--data', renamed])
    expect(moved).toMatchObject({ code: 4, stderr: expect.stringContaining(`in use by process ${node.child.pid} `) })
    // A copy that took its name keeps its lock when the node ends.
    await cp(renamed, original, { recursive: true, filter: path => !path.endsWith('.sock') })
    const second = await serve(original)
    await stop(node)
    const { record } = await recordOf(original)
    expect(record).toMatchObject({ pid: second.child.pid })
    expect(record).not.toHaveProperty('released')
    expect(await stop(second)).toBe(0)
  })

  it('is free at once after kill -9, a copy of it too', async () => {
    const folder = await temporaryFolder()
    const [original, other] = [join(folder, 'original'), join(folder, 'copy')]
    const node = await serve(original)
    await pushImage(node.url, 'app', 'v1')
    await killed(node)
    copy(original, other)
    expect(await tagsOf(original)).toEqual(['v1'])
    expect(await tagsOf(other)).toEqual(['v1'])
  })
})

const title = 'in namespaces of its own'
describe.skipIf(!mayMount)(mayMount ? title : `${title} (needs root on Linux)`, () => {
  const container: StartOptions = { by: ['unshare', '--pid', '--mount-proc', '--fork', '--kill-child'] }

  it('a folder mounted elsewhere is the same one', async () => {
    const folder = await temporaryFolder()
    const [original, mounted] = [join(folder, 'original'), join(folder, 'mounted')]
    const node = await serve(original)
    await pushImage(node.url, 'app', 'v1')
    await mkdir(mounted)
    execFileSync('mount', ['--bind', original, mounted])
    try {
      expect(await tagsOf(mounted)).toEqual(['v1'])
      expect(await run(['serve', '--data', mounted])).toMatchObject({ code: 4 })
    } finally {
      execFileSync('umount', [mounted])
    }
  })

  it('a node in a container is asked, its copy is not, and after kill -9 the folder is free at once', async () => {
    const folder = await temporaryFolder()
    const [original, other] = [join(folder, 'original'), join(folder, 'copy')]
    const node = await serve(original, {}, container)
    await pushImage(node.url, 'app', 'v1')
    expect((await recordOf(original)).record).toMatchObject({ pid: 1 })
    expect(await tagsOf(original)).toEqual(['v1'])
    const refused = await run(['serve', '--data', original])
    expect(refused).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/process 1 of another container \(pinnace serve/)
    })
    copy(original, other)
    expect(await run(['rm', 'app:v1', '--yes', '--data', other])).toMatchObject({ code: 0 })
    expect(await tagsOf(other)).toEqual([])
    expect(await tagsOf(original)).toEqual(['v1'])
    // A container beside it sees the same.
    const beside = await run(['ls', '--data', original], {}, container)
    expect(beside).toEqual({ code: 0, stdout: 'app\n', stderr: '' })
    await killed(node)
    const next = await serve(original, {}, container)
    expect(await tagsOf(original)).toEqual(['v1'])
    await killed(next)
    expect(await tagsOf(original)).toEqual(['v1'])
  })

  it('a node in a container without its socket keeps the database, and its record', async () => {
    const original = await temporaryFolder()
    const node = await serve(original, {}, container)
    const { file } = await recordOf(original)
    await rename(join(original, 'control.sock'), join(original, 'elsewhere.sock'))
    const refused = await run(['gc', '--data', original])
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringMatching(/process 1 of another container/) })
    expect((await recordOf(original)).file).toBe(file)
    await rename(join(original, 'elsewhere.sock'), join(original, 'control.sock'))
    expect(await run(['ls', '--data', original])).toEqual(emptyList)
    await killed(node)
  })
})
