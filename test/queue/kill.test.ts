import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Level } from 'level'
import { expect, it } from 'vitest'
import { openQueue } from '../../src/queue/open.ts'

const victim = fileURLToPath(new URL('victim.ts', import.meta.url))

/** Runs the process until it said so many lines, and kills it. What it said, by kind. */
async function killAfter(lines: number, folder: string): Promise<Record<'kept' | 'begun' | 'ended', Set<string>>> {
  const said = { kept: new Set<string>(), begun: new Set<string>(), ended: new Set<string>() }
  const child = spawn(process.execPath, [victim, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  let count = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const [what = '', key = ''] = line.split(' ')
    if (what === 'kept' || what === 'begun' || what === 'ended') said[what].add(key)
    if (++count === lines) child.kill('SIGKILL')
  }
  expect(await exit).toEqual([null, 'SIGKILL'])
  return said
}

it.each([3, 40, 250])(
  'work of a process killed at line %i is there, and what was under way is due again',
  async lines => {
    const folder = await mkdtemp(join(tmpdir(), 'pinnace-queue-'))
    try {
      const said = await killAfter(lines, folder)
      expect(said.kept.size).toBeGreaterThan(0)
      const level = new Level<string, string>(folder)
      await level.open()
      const queue = await openQueue({ level, log: { debug() {}, info() {}, warn() {}, error() {} } })
      const waiting = new Map<string, number>()
      for await (const { key, attempts, due } of queue.list('waiting')) {
        waiting.set(key, attempts)
        expect(due).toBeLessThanOrEqual(Date.now())
      }
      for await (const item of queue.list('running')) expect.fail(`${item.key} is under way by nobody`)
      for (const key of said.kept) if (!said.ended.has(key)) expect([key, waiting.has(key)]).toEqual([key, true])
      for (const key of said.begun) if (Number(key) % 2 === 1) expect([key, waiting.get(key)]).toEqual([key, 1])
      const done = Promise.withResolvers<void>()
      const again = new Set<string>()
      queue.register('k', async ({ key }) => {
        if (again.add(key).size === waiting.size) done.resolve()
      })
      if (waiting.size > 0) await done.promise
      await queue.stop()
      expect([...again].sort()).toEqual([...waiting.keys()].sort())
      for await (const [key] of level.iterator()) expect.fail(`${key} is left`)
      await level.close()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
)
