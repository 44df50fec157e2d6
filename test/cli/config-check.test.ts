import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run, serve, stop, temporaryFolder } from './command.ts'

const goodLine = 'the configuration is good (no file, 2 REGISTRY_… variables)\n'

describe('config check', () => {
  it('finds what is wrong in the file and in what it names, in one round, ends with 2 and makes nothing', async () => {
    const folder = await temporaryFolder()
    const file = join(folder, 'c.yml')
    await writeFile(
      file,
      `version: 0.1
log: {level: loud, audit: {path: ${file}/audit}}
storage: {filesystem: {rootdirectory: ${folder}/data}}
http: {addr: ["192.0.2.1:0", x], tls: {certificate: /nonexistent.crt}}
auth: {htpasswd: {path: ${folder}/users}}
`
    )
    const { code, stdout, stderr } = await run(['config', 'check', file], { REGISTRY_HTTP_ADDR: '[192.0.2.1:0, x]' })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    for (const line of [
      `  ${file}:2: log.level: "loud" is not a log level; write error, warn, info, debug`,
      '  REGISTRY_HTTP_ADDR: http.addr[1]: "x" is not an address; write HOST:PORT',
      `  ${file}:4: http.tls.key is missing; write the path of a file or folder`,
      `  auth.htpasswd: ${folder}/users: it cannot be read (ENOENT); make it: pinnace user hash NAME >> ${folder}/users`,
      `  log.audit.path: cannot write ${file}/audit (EEXIST)`,
      '  cannot listen on 192.0.2.1'
    ])
      expect(stderr).toContain(`\n${line}`)
    expect(await readdir(folder)).toEqual(['c.yml'])
  })

  it('takes what the node of that folder listens on for free, but not what another program has', async () => {
    const data = await temporaryFolder()
    const free = createServer().listen(0, '127.0.0.1')
    await new Promise(done => free.once('listening', done))
    const address = free.address()
    const port = typeof address === 'object' ? address?.port : undefined
    await new Promise(done => free.close(done))
    const env = { REGISTRY_HTTP_ADDR: `127.0.0.1:${port}` }
    const node = await serve(data, env)
    const own = await run(['config', 'check', '--data', data], env)
    expect(own).toEqual({ code: 0, stdout: `${goodLine}data folder: ${data} (there)\n`, stderr: '' })
    const elsewhere = await run(['config', 'check', '--data', join(await temporaryFolder(), 'other')], env)
    expect(elsewhere.code).toBe(2)
    expect(elsewhere.stderr).toContain(`cannot listen on 127.0.0.1:${port}: another program has it`)
    expect(await stop(node)).toBe(0)
  })

  it('says which variables it passed over', async () => {
    const env = { REGISTRY_HTTP_ADR: ':1' }
    const { code, stdout, stderr } = await run(['config', 'check', '--data', await temporaryFolder()], env)
    expect(code).toBe(0)
    expect(stdout).toContain('the configuration is good (no file, 2 REGISTRY_… variables, 1 ignored)\n')
    expect(stderr).toContain(
      'REGISTRY_HTTP_ADR names no key of the configuration and is ignored; the nearest is REGISTRY_HTTP_ADDR'
    )
  })
})
