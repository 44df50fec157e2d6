import { appendFile, chmod, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { AuditEntry } from '../../src/access/ports.ts'
import { AuditFile, type AuditFileInit } from '../../src/audit/audit-file.ts'
import { memoryLog } from '../http/serve.ts'
import { describeWithSmallDisk, mountSmallDisk } from '../small-disk.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-audit-'))
  path = join(folder, 'log', 'audit.jsonl')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const clock = { now: () => Date.UTC(2026, 10, 21, 12) }
const log = memoryLog()
const opened = (init: Partial<AuditFileInit> = {}) =>
  AuditFile.open({ clock, log }, { path, size: 1 << 20, files: 5, ...init })

const entry = (reference: string): AuditEntry => ({
  subject: 'user:alice',
  action: 'push',
  repository: 'team/app',
  reference,
  outcome: 'allowed',
  status: 201,
  from: '192.0.2.1',
  requestId: 'r'
})

async function linesOf(file: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, 'utf8')
  expect(text.endsWith('\n')).toBe(true)
  return text
    .slice(0, -1)
    .split('\n')
    .map(line => JSON.parse(line))
}

it('writes one JSON object a line, in a file for the owner alone', async () => {
  const audit = await opened()
  audit.record(entry('v1'))
  audit.record({ subject: 'anonymous', action: 'pull', outcome: 'denied', reference: 'a\nb' })
  await audit.close()
  expect(await linesOf(path)).toEqual([
    { time: '2026-11-21T12:00:00.000Z', ...entry('v1') },
    { time: '2026-11-21T12:00:00.000Z', subject: 'anonymous', action: 'pull', outcome: 'denied', reference: 'a\nb' }
  ])
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

it('keeps no addresses when told so, and still says what came by the socket', async () => {
  const audit = await opened({ addresses: false })
  audit.record(entry('v1'))
  audit.record({ ...entry('v2'), from: 'control' })
  await audit.close()
  expect((await linesOf(path)).map(line => line.from)).toEqual([undefined, 'control'])
})

it('goes on where it was, behind a line that a crash tore', async () => {
  const first = await opened()
  first.record(entry('v1'))
  await first.close()
  await appendFile(path, '{"time":"2026')
  const second = await opened()
  second.record(entry('v2'))
  await second.close()
  const lines = (await readFile(path, 'utf8')).split('\n')
  expect(lines).toHaveLength(4)
  expect(lines[1]).toBe('{"time":"2026')
  expect(JSON.parse(lines[2] ?? '')).toMatchObject({ reference: 'v2' })
})

it('rotates between lines and loses none, and removes only the oldest file', async () => {
  const audit = await opened({ size: 100_000, files: 40 })
  const count = 20_000
  for (let at = 0; at < count; at++) {
    audit.record(entry(`n${at}`))
    if (at % 500 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await audit.close()
  const files = await readdir(join(folder, 'log'))
  expect(files.length).toBeGreaterThan(3)
  const all: unknown[] = []
  for (let at = files.length - 1; at >= 0; at--) {
    const file = at === 0 ? path : `${path}.${at}`
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    for (const line of (await stat(file)).size === 0 ? [] : await linesOf(file)) all.push(line.reference)
  }
  expect(all).toEqual(Array.from({ length: count }, (_, at) => `n${at}`))

  const few = await opened({ size: 1000, files: 2 })
  for (let at = 0; at < 100; at++) {
    few.record(entry(`n${at}`))
    await new Promise(resolve => setImmediate(resolve))
  }
  await few.close()
  expect((await readdir(join(folder, 'log'))).filter(file => /\.[123]$/.test(file)).length).toBeGreaterThanOrEqual(2)
})

it('bounds what waits, and says in both logs how much was lost', async () => {
  const audit = await opened({ size: 1 << 30 })
  const long = 'x'.repeat(1000)
  // No turn of the event loop in between: nothing can be written meanwhile, as on a disk that stalls.
  for (let at = 0; at < 8000; at++) audit.record({ ...entry(`${at}`), requestId: long })
  await new Promise(resolve => setTimeout(resolve, 50))
  await audit.close()
  const lines = await linesOf(path)
  const lost = lines.at(-1)
  expect(lost).toMatchObject({ action: 'lost', outcome: 'failed' })
  expect(lines.length - 1 + Number(lost?.reference)).toBe(8000)
  expect(log.lines.map(line => line.message)).toEqual(
    expect.arrayContaining([expect.stringMatching(/are lost/), expect.stringMatching(/were lost/)])
  )
})

describe('while another program rotates it', () => {
  const written = (audit: AuditFile, reference: string) => {
    audit.record(entry(reference))
    return vi.waitFor(async () => expect(await readFile(path, 'utf8')).toContain(`"${reference}"`), { timeout: 10_000 })
  }

  it('finds the file renamed, and makes it anew without an entry to write', async () => {
    const audit = await opened()
    await written(audit, 'v1')
    await rename(path, `${path}-20261121`)
    await vi.waitFor(() => stat(path), { timeout: 10_000 })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await written(audit, 'v2')
    await audit.close()
    expect((await linesOf(`${path}-20261121`)).map(line => line.reference)).toEqual(['v1'])
    expect((await linesOf(path)).map(line => line.reference)).toEqual(['v2'])
  })

  it('writes no entry into a file that was renamed before, however soon it comes', async () => {
    const audit = await opened()
    await written(audit, 'v1')
    await rename(path, `${path}-20261121`)
    audit.record(entry('v2'))
    await audit.close()
    expect((await linesOf(`${path}-20261121`)).map(line => line.reference)).toEqual(['v1'])
    expect((await linesOf(path)).map(line => line.reference)).toEqual(['v2'])
  })

  it('finds the file removed, with its folder', async () => {
    const audit = await opened()
    await written(audit, 'v1')
    await rm(join(folder, 'log'), { recursive: true })
    await written(audit, 'v2')
    await audit.close()
    expect((await linesOf(path)).map(line => line.reference)).toEqual(['v2'])
  })

  it('counts from the beginning in a file that was copied and emptied', async () => {
    const audit = await opened({ size: 1000 })
    for (let at = 0; at < 4; at++) await written(audit, `n${at}`)
    await truncate(path)
    for (let at = 4; at < 8; at++) await written(audit, `n${at}`)
    await audit.close()
    expect((await linesOf(path)).map(line => line.reference)).toEqual(['n4', 'n5', 'n6', 'n7'])
    expect(await readdir(join(folder, 'log'))).toEqual(['audit.jsonl'])
  })
})

it('shows nothing on a terminal but text, whatever somebody is called', async () => {
  const audit = await opened()
  const subject = 'external:a\u009b31m\u202eevil\u2028\u007f'
  audit.record({ ...entry('v1'), subject })
  await audit.close()
  expect(await readFile(path, 'utf8')).toMatch(/^[\x20-\x7e]+\n$/)
  expect((await linesOf(path))[0]).toMatchObject({ subject })
})

it('is a failed start when it cannot be written', async () => {
  await writeFile(join(folder, 'log'), 'a file')
  await expect(opened()).rejects.toThrow(/EEXIST|ENOTDIR/)
  await expect(opened({ path: folder })).rejects.toThrow()
  await chmod(folder, 0o700)
})

describeWithSmallDisk('on a full disk', () => {
  it('keeps what it can, blocks nobody, and goes on when there is room', async () => {
    const disk = await mountSmallDisk(1 << 20)
    try {
      const audit = await opened({ path: join(disk.path, 'audit.jsonl') })
      audit.record(entry('before'))
      await new Promise(resolve => setTimeout(resolve, 50))
      await disk.fill()
      for (let at = 0; at < 100; at++) audit.record(entry(`n${at}`))
      await new Promise(resolve => setTimeout(resolve, 50))
      await disk.empty()
      for (let tries = 0; tries < 100; tries++) {
        await new Promise(resolve => setTimeout(resolve, 50))
        if ((await readFile(join(disk.path, 'audit.jsonl'), 'utf8')).includes('"n99"')) break
      }
      await audit.close()
      const text = await readFile(join(disk.path, 'audit.jsonl'), 'utf8')
      for (const reference of ['before', 'n0', 'n50', 'n99']) expect(text).toContain(`"reference":"${reference}"`)
    } finally {
      await disk.close()
    }
  })
})
