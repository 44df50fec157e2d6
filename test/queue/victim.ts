/**
 * A process that enqueues and works until it is killed: `node victim.ts <folder>`. Says what it was told (`kept`) and what it
 * began and ended. Work with an odd number never ends.
 */
import { setImmediate } from 'node:timers/promises'
import { Level } from 'level'
import { openQueue } from '../../src/queue/open.ts'

const [, , folder = ''] = process.argv
const level = new Level<string, string>(folder)
await level.open()
const queue = await openQueue({ level, log: { debug() {}, info() {}, warn() {}, error() {} } })
queue.register(
  'k',
  async ({ key }) => {
    console.log(`begun ${key}`)
    if (Number(key) % 2 === 1) await new Promise(() => undefined)
    await setImmediate()
    console.log(`ended ${key}`)
  },
  { concurrency: 20 }
)
for (let key = 0; ; key++) {
  await queue.enqueue([{ kind: 'k', key: `${key}`, payload: key }])
  console.log(`kept ${key}`)
}
