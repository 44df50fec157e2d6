import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { run, type Serving, serve, stop, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

/** Everybody may pull and push, so that tokens differ in `admin` alone. */
const rules = { REGISTRY_ACCESS: '[{subject: anonymous, repositories: "**", actions: [pull, push]}]' }

let folder: string
let node: Serving

beforeEach(async () => {
  folder = await temporaryFolder()
  node = await serve(join(folder, 'data'), rules)
})

/** A file with a new token. */
async function tokenFile(name: string, repository: string, actions: string): Promise<string> {
  const rights = ['--name', name, '--repo', repository, '--actions', actions]
  const { code, stdout } = await run(['token', 'create', ...rights, '--data', node.dataDir], rules)
  expect(code).toBe(0)
  const file = join(folder, `${name}.token`)
  await writeFile(file, stdout)
  return file
}

const afar = (file: string | undefined, ...args: string[]) =>
  run([...args, '--host', node.url, ...(file === undefined ? [] : ['--token-file', file])])

describe('the admin API of a node', () => {
  it('does what the socket does, for a token that administers', async () => {
    await pushImage(node.url, 'app', 'v1')
    const admin = await tokenFile('admin', '**', 'admin')
    expect(await afar(admin, 'ls')).toEqual({ code: 0, stdout: 'app\n', stderr: '' })
    expect((await afar(admin, 'inspect', 'app:v1', '--json')).code).toBe(0)
    expect((await afar(admin, 'id')).stdout).toBe((await run(['id', '--data', node.dataDir])).stdout)
    expect((await afar(admin, 'gc', '--json')).code).toBe(0)
    expect(await afar(admin, 'scrub')).toMatchObject({ code: 0, stdout: expect.stringMatching(/ 0 damaged\n$/) })
    const made = await afar(admin, 'token', 'create', '--name', 'ci', '--repo', 'app', '--actions', 'pull')
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^pinnace_\w+\n$/) })
    expect(made.stderr).toContain(`--password-stdin ${new URL(node.url).host}\n`)
    expect((await afar(admin, 'token', 'ls')).stdout).toMatch(/^admin .*\nci /m)
    expect((await afar(admin, 'token', 'rm', 'ci')).code).toBe(0)
    expect((await afar(admin, 'rm', 'app:v1', '--yes')).code).toBe(0)
    expect((await afar(admin, 'ls', 'app')).stdout).not.toContain('v1')
  })

  it('is under the prefix that the node has', async () => {
    await stop(node)
    node = await serve(join(folder, 'prefixed'), { ...rules, REGISTRY_HTTP_PREFIX: '/team/' })
    const admin = await tokenFile('admin', '**', 'admin')
    const there = ['--host', `${new URL(node.url).origin}/team`, '--token-file', admin]
    expect((await run(['token', 'ls', ...there])).stdout).toMatch(/^admin /m)
    expect((await run(['id', ...there])).code).toBe(0)
    const elsewhere = await run(['id', '--host', new URL(node.url).origin, '--token-file', admin])
    expect(elsewhere).toMatchObject({ code: 1, stderr: expect.stringMatching(/has no admin API there/) })
  })

  it('is closed to anybody else, and to a token from the moment that it was removed', async () => {
    const admin = await tokenFile('admin', '**', 'admin')
    const others = [
      [undefined, /wants a token/],
      [await tokenFile('ci', '**', 'pull,push,delete,fetch'), /does not let you administer it/],
      [await tokenFile('part', 'team/**', 'admin'), /does not let you administer it/]
    ] as const
    for (const [file, reason] of others) {
      for (const args of [['ls'], ['token', 'ls'], ['token', 'create', '--repo', '**', '--actions', 'admin'], ['gc']]) {
        const { code, stdout, stderr } = await afar(file, ...args)
        expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
        expect(stderr).toMatch(reason)
      }
    }
    expect((await afar(admin, 'ls')).code).toBe(0)
    expect((await run(['token', 'rm', 'admin', '--data', node.dataDir])).code).toBe(0)
    expect(await afar(admin, 'ls')).toMatchObject({ code: 1, stderr: expect.stringMatching(/wants a token/) })
  })
})
