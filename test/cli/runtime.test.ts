import { describe, expect, it } from 'vitest'
import { run, serve, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

/** Runs before the program, in its process. */
function preload(script: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` }
}

describe('a runtime that will not do', () => {
  it('is named in one sentence, before anything of it is used', async () => {
    const old = preload(
      `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`
    )
    const { code, stdout, stderr } = await run(['version'], old)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^pinnace needs Node\.js 22\.19 or newer and this is 20\.20\.2: .*\n$/)
    const almost = preload(
      `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.18.0' } })`
    )
    expect((await run(['version'], almost)).code).toBe(1)
  })

  it('is Windows, with what to use there', async () => {
    const windows = preload(`Object.defineProperty(process, 'platform', { value: 'win32' })`)
    const { code, stderr } = await run(['version'], windows)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^pinnace does not run on Windows itself: .*WSL.*Docker.*\n$/)
  })
})

it('an uncaught error is logged, ends the node with 1, and loses nothing that was acknowledged', async () => {
  const data = await temporaryFolder()
  const bug = preload(`process.on('SIGUSR2', () => { throw new Error('a bug') })`)
  const node = await serve(data, bug)
  const { digest } = await pushImage(node.url, 'app', 'v1')
  node.child.kill('SIGUSR2')
  expect(await node.ended).toBe(1)
  expect(node.stdout()).toMatch(/level=fatal msg="uncaught error, the node ends" .*a bug/)
  const { stdout } = await run(['inspect', 'app:v1', '--json', '--data', data])
  expect(JSON.parse(stdout)).toMatchObject({ digest })
})
