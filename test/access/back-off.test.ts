import { beforeEach, describe, expect, it } from 'vitest'
import { BackOff } from '../../src/access/back-off.ts'
import { RegistryError } from '../../src/errors.ts'
import { Authenticated, basic } from './authenticated.ts'

let now = 1_000_000
let backOff: BackOff
beforeEach(() => {
  now = 1_000_000
  backOff = new BackOff({ clock: { now: () => now } }, { limit: 1000 })
})

/** Seconds told to wait; 0 when the attempt was let through, and failed. */
function guess(source: string, name: string): number {
  try {
    backOff.begin(source, name).failed()
    return 0
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    expect(error.reason).toBe('TOOMANYREQUESTS')
    return Number(error.headers['Retry-After'])
  }
}

/** Guesses let through in so many seconds, one tried every 500 ms. */
function guessesIn(seconds: number, source: () => string, name: () => string): number {
  let through = 0
  for (const end = now + seconds * 1000; now < end; now += 500) if (guess(source(), name()) === 0) through++
  return through
}

describe('back-off', () => {
  it('lets people mistype, then doubles up to five minutes', () => {
    for (let n = 0; n < 5; n++) expect(guess('192.0.2.1', 'alice')).toBe(0)
    const waits: number[] = []
    for (let n = 0; n < 11; n++) {
      const wait = guess('192.0.2.1', 'alice')
      waits.push(wait)
      now += wait * 1000
      expect(guess('192.0.2.1', 'alice')).toBe(0)
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
  })

  it('forgets after a quarter of an hour', () => {
    for (let n = 0; n < 6; n++) guess('192.0.2.1', 'alice')
    now += 15 * 60_000
    for (let n = 0; n < 5; n++) expect(guess('192.0.2.1', 'alice')).toBe(0)
  })

  it('leaves few guesses, whatever names a source tries', () => {
    let name = 0
    expect(
      guessesIn(
        6 * 3600,
        () => '192.0.2.1',
        () => 'alice'
      )
    ).toBeLessThan(85)
    expect(
      guessesIn(
        3600,
        () => '198.51.100.1',
        () => `user${name++}`
      )
    ).toBeLessThan(100)
  })

  it('takes the addresses of an IPv6 network for one', () => {
    let host = 0
    expect(
      guessesIn(
        3600,
        () => `2001:db8::${(host++).toString(16)}`,
        () => 'alice'
      )
    ).toBeLessThan(40)
  })

  it('leaves the networks of one IPv6 site together few guesses, whatever names they try', () => {
    let host = 0
    const source = () => `2001:db8:7:${(host++).toString(16)}::1`
    expect(guessesIn(3600, source, () => `user${host}`)).toBeLessThan(200)
    expect(guess('2001:db8:8::1', 'somebody')).toBe(0)
    expect(guess('192.0.2.1', 'somebody')).toBe(0)
  })

  it('leaves sources together a guess a second of one account', () => {
    let host = 0
    const source = () => `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host++ & 255}`
    expect(guessesIn(1000, source, () => 'alice')).toBeLessThan(1100)
  })

  it('does not lock out somebody whom strangers attack from everywhere', () => {
    backOff.begin('192.0.2.1', 'alice').succeeded()
    let host = 0
    guessesIn(
      100,
      () => `10.0.0.${host++ % 250}`,
      () => 'alice'
    )
    expect(() => backOff.begin('192.0.2.1', 'alice').succeeded()).not.toThrow()
    // From a new place she has to try again after a second at most.
    const waits = Array.from({ length: 10 }, () => guess('203.0.113.9', 'alice'))
    expect(Math.max(...waits)).toBeLessThanOrEqual(1)
  })

  it('does not lock out the neighbours of a guesser', () => {
    backOff.begin('192.0.2.1', 'bob').succeeded()
    for (let n = 0; n < 100; n++) guess('192.0.2.1', `user${n}`)
    expect(guess('192.0.2.1', 'somebody else')).toBeGreaterThan(0)
    expect(() => backOff.begin('192.0.2.1', 'bob').succeeded()).not.toThrow()
  })

  it('is over for an account that signed in', () => {
    for (let n = 0; n < 6; n++) guess('192.0.2.1', 'alice')
    now += 2000
    backOff.begin('192.0.2.1', 'alice').succeeded()
    for (let n = 0; n < 5; n++) expect(guess('192.0.2.1', 'alice')).toBe(0)
  })

  it('lets few at once through, and counts what was abandoned as nothing', () => {
    const attempts = Array.from({ length: 5 }, () => backOff.begin('192.0.2.1', 'alice'))
    expect(() => backOff.begin('192.0.2.1', 'alice')).toThrow(RegistryError)
    for (const attempt of attempts) attempt.abandoned()
    for (let n = 0; n < 5; n++) expect(guess('192.0.2.1', 'alice')).toBe(0)
  })

  it('forgets no failures for names that are tried beside them, however many', () => {
    backOff.begin('192.0.2.1', 'alice').succeeded()
    let through = 0
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < 10; n++) if (guess('192.0.2.1', 'alice') === 0) through++
      for (let n = 0; n < 1100; n++) guess('192.0.2.1', `user${n}`)
    }
    expect(through).toBe(5)
  })

  it('nor of an account under attack from everywhere', () => {
    for (let n = 0; n < 60; n++) {
      guess(`10.0.0.${n}`, 'alice')
      now += 1000
    }
    for (let n = 0; n < 25; n++) guess('192.0.2.1', `user${n}`)
    for (let n = 0; n < 2200; n++) guess('192.0.2.1', `user${n}`)
    expect([guess('198.51.100.1', 'alice'), guess('198.51.100.2', 'alice')]).toEqual([0, 1])
  })

  it('nor for attempts that came to nothing', () => {
    for (let n = 0; n < 5; n++) guess('192.0.2.1', 'alice')
    for (let n = 0; n < 2200; n++) backOff.begin(`10.0.${n >> 8}.${n & 255}`, `user${n}`).abandoned()
    expect(guess('192.0.2.1', 'alice')).toBe(1)
  })

  it('bounds what one source has under way', () => {
    for (let n = 0; n < 16; n++) backOff.begin('192.0.2.1', `user${n}`)
    expect(() => backOff.begin('192.0.2.1', 'another')).toThrow(RegistryError)
    expect(() => backOff.begin('192.0.2.2', 'another')).not.toThrow()
  })
})

describe('a guesser at the address of somebody signed in', () => {
  it('is turned away even with the right password, which is remembered', async () => {
    const node = await Authenticated.start()
    await node.user('alice', 'correct horse')
    const ask = async (password: string) =>
      Promise.resolve(node.authentication.identify(basic('alice', password), '192.0.2.1')).then(
        () => 'in',
        (error: unknown) => (error instanceof RegistryError ? error.reason : 'broken')
      )
    const tryOne = async (password: string) => {
      try {
        return await ask(password)
      } catch (error) {
        return error instanceof RegistryError ? error.reason : 'broken'
      }
    }
    expect(await tryOne('correct horse')).toBe('in')
    for (let n = 0; n < 6; n++) await tryOne(`guess ${n}`)
    // A few mistakes turn nobody away who is signed in.
    expect(await tryOne('correct horse')).toBe('in')
    for (let n = 0; n < 30; n++) expect(await tryOne(`more ${n}`)).toBe('TOOMANYREQUESTS')
    expect(await tryOne('correct horse')).toBe('TOOMANYREQUESTS')
    // A bearer that she has goes on, and so does she a little later.
    node.clock.ms += 60_000
    expect(await tryOne('correct horse')).toBe('in')
    await node.close()
  })

  it('of many sources costs one hash a second at most', async () => {
    const node = await Authenticated.start()
    await node.user('alice', 'correct horse')
    for (let n = 0; n < 300; n++) {
      const source = `10.0.${n >> 8}.${n & 255}`
      await Promise.resolve(node.authentication.identify(basic('alice', 'x'), source)).catch(() => undefined)
    }
    expect(node.hashed).toBeLessThanOrEqual(51)
    await node.close()
  })
})
