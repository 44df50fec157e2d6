import { describe, expect, it } from 'vitest'
import { run, serve, stop, temporaryFolder } from './command.ts'

const secret = /^pinnace_[0-9A-Za-z]{33}\n$/

describe.each(['beside a running node', 'on the folder of a stopped node'])('%s', where => {
  const running = where === 'beside a running node'

  async function node(): Promise<string> {
    const data = await temporaryFolder()
    const serving = await serve(data)
    if (!running) expect(await stop(serving)).toBe(0)
    return data
  }

  it('a token is made, shown once, listed without its secret, and removed', async () => {
    const data = await node()
    const token = (...args: string[]) => run(['token', ...args, '--data', data])
    const made = await token('create', '--name', 'ci', '--repo', 'team/**', '--repo', 'app', '--actions', 'pull,push')
    expect(made.code).toBe(0)
    expect(made.stdout).toMatch(secret)
    const said = made.stderr
    expect(said).toMatch(/^Token ci \(\w{11}\): pull, push on team\/\*\*, app; expires \d{4}-\d\d-\d\dT[\d:]+Z\.\n/)
    expect(said).toMatch(/docker login --username ci --password-stdin \S+\n/)
    expect(said).not.toContain(made.stdout.trim())
    expect(said).toMatch(/warning: this node asks nobody who they are.*auth\.htpasswd/)

    const forever = await token('create', '--repo', '**', '--actions', 'admin', '--expires', 'never')
    expect(forever.stdout).toMatch(secret)
    expect(forever.stdout).not.toBe(made.stdout)
    const [, anonymous = ''] =
      /^Token (token-[0-9a-f]{8}) \(\w{11}\): admin on \*\*; never expires\.\n/.exec(forever.stderr) ?? []

    const table = await token('ls')
    expect(table.stdout).toMatch(
      /^NAME +ID +KIND +REPOSITORIES +ACTIONS +CREATED +EXPIRES\nci +\w{11} +access +team\/\*\*,app +pull,push +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d\ntoken-.* never\n$/
    )
    const lines = (await token('ls', '--json')).stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines).toEqual([
      {
        id: expect.stringMatching(/^\w{11}$/),
        name: 'ci',
        kind: 'access',
        grants: [
          { repositories: 'team/**', actions: ['pull', 'push'] },
          { repositories: 'app', actions: ['pull', 'push'] }
        ],
        createdAt: expect.stringMatching(/Z$/),
        expiresAt: expect.stringMatching(/Z$/),
        expired: false
      },
      expect.objectContaining({ name: anonymous, expired: false })
    ])
    const [{ createdAt, expiresAt }] = lines
    expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBeGreaterThan(89.9 * 86_400_000)
    expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBeLessThan(90.1 * 86_400_000)
    for (const { stdout } of [table, await token('ls', '--all', '--json')]) {
      for (const { stdout: hidden } of [made, forever]) expect(stdout).not.toContain(hidden.trim())
    }

    expect(await token('rm', 'nope', lines[1].id)).toEqual({
      code: 3,
      stdout: `removed ${anonymous} (${lines[1].id})\n`,
      stderr: 'pinnace: there is no token "nope": "pinnace token ls" lists those there are\n'
    })
    expect((await token('rm', 'ci')).code).toBe(0)
    expect((await token('ls', '--json')).stdout).toBe('')
  })

  it('what cannot be a token is refused, saying why', async () => {
    const data = await node()
    const create = (...args: string[]) => run(['token', 'create', ...args, '--data', data])
    expect((await create('--name', 'ci', '--repo', 'a', '--actions', 'pull')).code).toBe(0)
    const refused: [RegExp, string[]][] = [
      [/named ci already/, ['--name', 'ci', '--repo', 'a', '--actions', 'pull']],
      [/cannot be named "c i"/, ['--name', 'c i', '--repo', 'a', '--actions', 'pull']],
      [/Team\/\*\*/, ['--repo', 'Team/**', '--actions', 'pull']],
      [/a\*\*.*whole component/, ['--repo', 'a**', '--actions', 'pull']]
    ]
    for (const [reason, args] of refused) {
      const { code, stdout, stderr } = await create(...args)
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
      expect(stderr).toMatch(reason)
    }
    expect((await run(['token', 'ls', '--json', '--data', data])).stdout.split('\n')).toHaveLength(2)
  })
})

it('nothing is warned of where callers are told apart', async () => {
  const data = await temporaryFolder()
  await stop(await serve(data))
  const env = { REGISTRY_ACCESS: '[{subject: token, repositories: "**", actions: [pull]}]' }
  const { code, stdout, stderr } = await run(
    ['token', 'create', '--name', 'ci', '--repo', 'a', '--actions', 'pull', '--data', data],
    env
  )
  expect(code).toBe(0)
  expect(stdout).toMatch(secret)
  expect(stderr).not.toContain('warning')
})

describe('a token’s command line', () => {
  it.each([
    [/"pul" is no action; there are pull, push, create, delete, fetch, admin/, ['--repo', 'a', '--actions', 'pul']],
    [/"" is no action/, ['--repo', 'a', '--actions', 'pull,']],
    [/required option '--repo <pattern>'/, ['--actions', 'pull']],
    [/required option '--actions <list>'/, ['--repo', 'a']],
    [/--expires.*Write 90d/, ['--repo', 'a', '--actions', 'pull', '--expires', 'soon']],
    [
      /--expires is in the past \(2020-01-02T00:00:00Z\)/,
      ['--repo', 'a', '--actions', 'pull', '--expires', '2020-01-01']
    ]
  ])('is refused before any node is asked: %s', async (reason, args) => {
    const { code, stdout, stderr } = await run(['token', 'create', ...args, '--data', '/nonexistent/pinnace'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(reason)
  })
})
