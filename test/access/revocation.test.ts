/** Whatever happens to users, tokens and sessions, in whatever order: what somebody holds is worth what it is at this moment. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { TokenRequest } from '../../src/access/authentication.ts'
import type { PasswordEntry } from '../../src/access/ports.ts'
import { RegistryError } from '../../src/errors.ts'
import { Authenticated, basic } from './authenticated.ts'

const names = ['ada', 'bob'] as const
type Name = (typeof names)[number]
const tokenNames = ['ci', 'cd'] as const
/** Where everybody signs in. */
const home = '192.0.2.1'

/** Something to sign in with, and who it must be now; `undefined` for nobody, `unsure` in the seconds around its end. */
interface Held {
  header: string
  who: () => string | undefined | 'unsure'
}

interface Session {
  token: string
  user: Name
  entry: PasswordEntry
  over: boolean
  /** Which ends its bearers too. */
  taken: boolean
}

class World {
  readonly node: Authenticated
  readonly held: Held[] = []
  readonly sessions: Session[] = []
  /** Entries that were in force once, with their passwords. */
  readonly past: { entry: PasswordEntry; password: string }[] = []
  readonly ids = new Map<string, string>()
  #sources = 0

  constructor(node: Authenticated) {
    this.node = node
  }

  async setPassword(name: Name, password: string): Promise<void> {
    await this.node.user(name, password, this.node.users.get(name)?.groups)
    const entry = this.entry(name)
    if (entry === undefined) throw new Error('no entry')
    this.past.push({ entry, password })
    this.held.push({ header: basic(name, password), who: () => this.#userBy(name, password) })
  }

  entry(name: Name): PasswordEntry | undefined {
    return this.node.users.get(name)
  }

  /** The password in force is that of the entry with its hash. */
  #userBy(name: Name, password: string): string | undefined {
    const { hash } = this.entry(name) ?? {}
    const now = this.past.find(({ entry }) => entry.name === name && entry.hash === hash)
    return now?.password === password ? this.#show(name) : undefined
  }

  #show(name: Name): string {
    return `user:${name}:${this.entry(name)?.groups.join()}`
  }

  hold(token: string, whoNow: () => string | undefined): void {
    const issued = this.node.clock.ms
    const who = () => {
      const age = this.node.clock.ms - issued
      if (age > 290_000 && age <= 310_000) return 'unsure'
      return age > 310_000 ? undefined : whoNow()
    }
    this.held.push({ header: `Bearer ${token}`, who })
  }

  async login(name: Name, offline: boolean): Promise<void> {
    const entry = this.entry(name)
    const known = this.past.find(past => past.entry.hash === entry?.hash)
    if (entry === undefined || known === undefined) return
    const issued = await this.#issue({ type: 'password', username: name, password: known.password }, offline)
    expect(issued?.subject).toMatchObject({ kind: 'user', name })
    if (issued === undefined) return
    const session: Session | undefined =
      issued.refreshToken === undefined
        ? undefined
        : { token: issued.refreshToken, user: name, entry, over: false, taken: false }
    expect(session !== undefined).toBe(offline)
    if (session !== undefined) {
      this.sessions.push(session)
      this.ids.set(session.token, this.node.tokens.find(session.token)?.id ?? '')
    }
    this.hold(issued.token, () => this.#userWith(name, entry, session))
  }

  #userWith(name: Name, { hash }: PasswordEntry, session?: Session): string | undefined {
    return this.entry(name)?.hash === hash && session?.taken !== true ? this.#show(name) : undefined
  }

  async refresh(session: Session): Promise<void> {
    const good = !session.over && this.entry(session.user)?.hash === session.entry.hash
    const issued = await this.#issue({ type: 'refresh', token: session.token }, false)
    expect(issued !== undefined).toBe(good)
    // One that was tried in vain is over for good.
    if (issued === undefined) session.over = true
    else this.hold(issued.token, () => this.#userWith(session.user, session.entry, session))
  }

  async #issue(credential: TokenRequest['credential'], offline: boolean) {
    const scopes = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
    return this.node.tokenServer.issue({ credential, scopes, offline, source: home }).catch(refused)
  }

  pass(ms: number): void {
    this.node.clock.ms += ms
  }

  async removeSession(session: Session): Promise<void> {
    const id = this.ids.get(session.token) ?? ''
    // One that is over already is not there to be taken away.
    const summary = await this.node.tokens.remove(id).catch(() => undefined)
    session.over = true
    if (summary !== undefined) session.taken = true
  }

  async createToken(name: string): Promise<void> {
    const made = await this.node.tokens
      .create({ name, grants: [{ repositories: '**', actions: ['pull'] }], expiresAt: this.node.clock.ms + 1_000_000 })
      .catch(() => undefined)
    if (made === undefined) return
    const { token, record } = made
    const who = () =>
      this.node.tokens.list().some(it => it.id === record.id) && !this.#isOver(record) ? `token:${name}` : undefined
    this.held.push({ header: `Bearer ${token}`, who }, { header: basic('any', token), who })
    const issued = await this.#issue({ type: 'password', username: 'any', password: token }, true)
    expect(issued).toBeDefined()
    if (issued !== undefined) this.hold(issued.token, who)
  }

  #isOver({ expiresAt = Number.POSITIVE_INFINITY }: { expiresAt?: number }): boolean {
    return expiresAt <= this.node.clock.ms
  }

  /** Another source each time, so that what is wrong does not run into back-off. */
  #elsewhere(): string {
    return `10.0.${this.#sources >> 8}.${this.#sources++ & 255}`
  }

  /** Asks with everything that anybody holds. */
  async check(): Promise<void> {
    for (const { header, who } of this.held) {
      const wanted = who()
      if (wanted === 'unsure') continue
      const source = wanted === undefined ? this.#elsewhere() : home
      const identified = (async () => this.node.authentication.identify(header, source))()
      const caller = await identified.catch(refused)
      const subject = caller?.subject
      const shown =
        subject?.kind === 'user'
          ? `user:${subject.name}:${subject.groups.join()}`
          : subject?.kind === 'token'
            ? `token:${subject.name}`
            : undefined
      expect(shown).toBe(wanted)
    }
  }
}

function refused(error: unknown): undefined {
  expect(error).toBeInstanceOf(RegistryError)
  // The second where a password was wrong often.
  expect(['UNAUTHORIZED', 'TOOMANYREQUESTS']).toContain(error instanceof RegistryError && error.reason)
}

const name = fc.constantFrom(...names)
const at = fc.nat(20)
type Step = (world: World) => Promise<void> | void
const step: fc.Arbitrary<Step> = fc.oneof(
  // Not each time: what was never asked with is looked at otherwise than what is remembered.
  fc.constant<Step>(world => world.check()),
  fc.tuple(name, fc.constantFrom('one', 'two')).map(
    ([who, password]): Step =>
      world =>
        world.setPassword(who, password)
  ),
  name.map(
    (who): Step =>
      world =>
        void world.node.users.delete(who)
  ),
  // As when a file is put back.
  at.map(
    (index): Step =>
      world => {
        const past = world.past[index % Math.max(1, world.past.length)]
        if (past !== undefined) world.node.users.set(past.entry.name, past.entry)
      }
  ),
  fc.tuple(name, fc.subarray(['dev', 'ops'])).map(
    ([who, groups]): Step =>
      world => {
        const entry = world.entry(who)
        if (entry !== undefined) world.node.users.set(who, { ...entry, groups })
      }
  ),
  fc.tuple(name, fc.boolean()).map(
    ([who, offline]): Step =>
      world =>
        world.login(who, offline)
  ),
  at.map(
    (index): Step =>
      async world => {
        const session = world.sessions[index % Math.max(1, world.sessions.length)]
        if (session !== undefined) await world.refresh(session)
      }
  ),
  at.map(
    (index): Step =>
      async world => {
        const session = world.sessions[index % Math.max(1, world.sessions.length)]
        if (session !== undefined) await world.removeSession(session)
      }
  ),
  fc.constantFrom(...tokenNames).map(
    (token): Step =>
      world =>
        world.createToken(token)
  ),
  fc.constantFrom(...tokenNames).map(
    (token): Step =>
      async world => {
        await world.node.tokens.remove(token).catch(() => undefined)
      }
  ),
  fc.constantFrom(1000, 200_000, 600_000).map(
    (ms): Step =>
      world =>
        world.pass(ms)
  )
)

it('what somebody holds is worth what it is at this moment, whatever came before', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 20 }), async steps => {
      const world = new World(await Authenticated.start())
      try {
        for (const who of names) await world.setPassword(who, 'one')
        for (const take of steps) await take(world)
        await world.check()
      } finally {
        await world.node.close()
      }
    }),
    { numRuns: 250 }
  )
})
