import type { PasswordHash } from '../access/ports.ts'
import { RegistryError } from '../errors.ts'

export interface PasswordHashInit {
  /** Hashes made at once, in threads of the pool that file reads share. Default 2. */
  concurrency?: number
  /** Checks that wait for one of them; more are turned away. Default 64. */
  queue?: number
  /** ms a check waits, then it is turned away: clients give up on a registry after 30 s. Default 10 s. */
  waitMs?: number
}

/**
 * bcrypt in libuv's threads, so many at once and so many waiting. It is native code, loaded only where somebody has a
 * password: a system that lacks a library of it can still run a node without users.
 */
export async function openPasswordHash(_components: object = {}, init: PasswordHashInit = {}): Promise<PasswordHash> {
  const { verify } = await import('@node-rs/bcrypt')
  const { concurrency = 2, queue: longest = 64, waitMs = 10_000 } = init
  const queue: { since: number; go: () => void; refuse: (error: RegistryError) => void }[] = []
  let running = 0

  const slot = (): Promise<void> | undefined => {
    if (running < concurrency) {
      running++
      return undefined
    }
    if (queue.length >= longest) throw busy()
    return new Promise((go, refuse) => queue.push({ since: performance.now(), go, refuse }))
  }
  const release = () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (performance.now() - next.since <= waitMs) return next.go()
      next.refuse(busy())
    }
    running--
  }
  return {
    async matches(password, hash) {
      await slot()
      try {
        return await verify(password, hash)
      } finally {
        release()
      }
    }
  }
}

function busy(): RegistryError {
  return new RegistryError('TOOMANYREQUESTS', {
    message: 'too many passwords are being checked: try again in 2 s',
    headers: { 'Retry-After': '2' }
  })
}
