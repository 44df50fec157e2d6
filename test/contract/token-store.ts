/**
 * What every implementation of {@link TokenStore} must do. Adopt it by one call:
 * `tokenStoreContract({ setup: async () => ({ store, reopen, teardown }) })`.
 *
 * @module
 */
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { TokenRecord, TokenStore } from '../../src/access/ports.ts'
import { collect } from './metadata-store.ts'

export interface TokenStoreSubject {
  store: TokenStore
  /** Closes the store and opens another over the same data. */
  reopen(): Promise<TokenStore>
  teardown(): Promise<void>
}

const access: TokenRecord = {
  id: 'b1',
  name: 'ci',
  kind: 'access',
  hash: 'a'.repeat(64),
  grants: [{ repositories: 'team/**', actions: ['pull', 'push'] }],
  createdAt: 1,
  expiresAt: 2
}
const refresh: TokenRecord = {
  id: 'B2',
  name: 'ann',
  kind: 'refresh',
  hash: 'b'.repeat(64),
  grants: [],
  user: { name: 'änn \u2028 o', credential: 'x' },
  createdAt: 3
}

export function tokenStoreContract(contract: { setup(): Promise<TokenStoreSubject> }): void {
  let subject: TokenStoreSubject
  beforeEach(async () => {
    subject = await contract.setup()
  })
  afterEach(() => subject.teardown())

  it('is empty at first', async () => {
    expect(await collect(subject.store.list())).toEqual([])
  })

  it('lists whole records in byte order of their IDs', async () => {
    await subject.store.put(access)
    await subject.store.put(refresh)
    expect(await collect(subject.store.list())).toEqual([refresh, access])
  })

  it('replaces a record of the same ID', async () => {
    await subject.store.put(access)
    const { expiresAt: _, ...forever } = { ...access, name: 'other' }
    await subject.store.put(forever)
    expect(await collect(subject.store.list())).toEqual([forever])
  })

  it('keeps records over a restart, and deletions too', async () => {
    await subject.store.put(access)
    await subject.store.put(refresh)
    await subject.store.delete(access.id)
    expect(await collect((await subject.reopen()).list())).toEqual([refresh])
  })

  it('deletes what is not there without an error', async () => {
    await subject.store.delete('nobody')
    expect(await collect(subject.store.list())).toEqual([])
  })

  it('takes many at once', async () => {
    const records = Array.from({ length: 300 }, (_, at) => ({ ...access, id: String(at).padStart(4, '0') }))
    await Promise.all(records.map(record => subject.store.put(record)))
    expect(await collect((await subject.reopen()).list())).toEqual(records)
  })

  it('stops listing when told to', async () => {
    await subject.store.put(access)
    const listing = subject.store.list({ signal: AbortSignal.abort(new Error('enough')) })
    await expect(collect(listing)).rejects.toThrow('enough')
  })
}
