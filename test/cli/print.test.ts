import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { describeExitCodes, exitCodes } from '../../src/cli/exit-codes.ts'
import { createLog } from '../../src/cli/log.ts'
import { Table } from '../../src/cli/table.ts'
import { count, printable, showBytes } from '../../src/cli/terminal.ts'
import { type Config, loadConfig } from '../../src/config.ts'

/** Keeps what is written, and is no terminal. */
function sink(): { out: PassThrough; text(): string } {
  const out = new PassThrough()
  return { out, text: () => String(out.read() ?? '') }
}

describe('a table', () => {
  it('aligns by the widest cell and leaves no trailing space', () => {
    const { out, text } = sink()
    const table = new Table(out, [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'X' }])
    table.row('a', '1 B', 'x')
    table.row('longer', '10 KiB', '')
    table.end()
    expect(text()).toBe('NAME      SIZE  X\na          1 B  x\nlonger  10 KiB\n')
  })
})

describe('texts', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [10 * 1024, '10.0 KiB'],
    [1536 * 1024 * 1024, '1.50 GiB']
  ])('%d bytes are %s', (bytes, text) => expect(showBytes(bytes)).toBe(text))

  it('count in singular and plural', () => {
    expect([count(0, 'blob'), count(1, 'blob'), count(1234, 'repository', 'repositories')]).toEqual([
      '0 blobs',
      '1 blob',
      '1,234 repositories'
    ])
  })

  it('from outside cannot drive the terminal', () => {
    expect(printable('a\u001b[2Jb\u202ec\r')).toBe('a\ufffd[2Jb\ufffdc\ufffd')
  })

  it('of the exit codes name each', () => {
    for (const code of Object.values(exitCodes)) expect(describeExitCodes()).toMatch(new RegExp(`^  ${code} +\\w`, 'm'))
  })
})

describe('the log', () => {
  async function logged(
    formatter: Config['log']['formatter'],
    write: (log: ReturnType<typeof createLog>) => void
  ): Promise<string> {
    const { config } = await loadConfig({
      environment: { REGISTRY_LOG_FIELDS: '{service: registry}' },
      dataDir: '/nonexistent'
    })
    const { out, text } = sink()
    write(createLog({ ...config.log, formatter }, out))
    return text()
  }

  it('as text is one line of logfmt a message, whatever is in it', async () => {
    const text = await logged('text', log => log.info({ path: '/a b', count: 3, nested: { a: 1 } }, 'one\ntwo "three"'))
    expect(text).toMatch(
      /^time="2\d{3}-[^"]*Z" level=info msg="one\\ntwo \\"three\\"" service=registry path="\/a b" count=3 nested="\{\\"a\\":1\}"\n$/
    )
  })

  it('keeps the message of an error, and its stack where that ends the node', async () => {
    const error = new Error('outer', { cause: new Error('inner') })
    expect(await logged('text', log => log.error({ err: error }, 'failed'))).toMatch(/ err="outer: inner"\n$/)
    expect(await logged('text', log => log.fatal({ err: error }, 'failed'))).toMatch(/ err="Error: outer\\n {4}at /)
  })

  it.each(['text', 'json', 'logstash'] as const)(
    'as %s never holds a credential, wherever it was put',
    async formatter => {
      const headers = {
        authorization: 'Basic hunter2',
        cookie: 'hunter2',
        'proxy-authorization': 'hunter2',
        'set-cookie': ['hunter2'],
        host: 'h'
      }
      const text = await logged(formatter, log => {
        log.info(headers, 'top')
        log.info({ headers }, 'headers')
        log.info({ req: { headers } }, 'request')
      })
      expect(text.trimEnd().split('\n')).toHaveLength(3)
      expect(text).not.toContain('hunter2')
      expect(text).toContain('[redacted]')
    }
  )
})
