import { setTimeout as delay } from 'node:timers/promises'
import type { Authorization, Client, Order } from 'acme-client'
import { crypto } from 'acme-client'
import type { Authority } from './authority.ts'
import type { Keyed } from './certificate-folder.ts'
import type { Challenges } from './challenges.ts'
import { createKey } from './keys.ts'

/** ms between questions whether the authority is done, and how long it is waited for. */
const pollMs = 1_000
const patienceMs = 120_000

/**
 * Gets a certificate for one name: order, challenge, key, certificate.
 *
 * @throws {AuthorityError} with what the authority said
 */
export async function obtain(
  { authority, challenges }: { authority: Authority; challenges: Challenges },
  host: string,
  stop: AbortSignal
): Promise<Keyed> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(2 * patienceMs)])
  return await authority.ask(signal, async client => {
    const order = await client.createOrder({ identifiers: [{ type: 'dns', value: host }] })
    const authorizations = await client.getAuthorizations(order)
    for (const authorization of authorizations) await prove(client, challenges, authorization, signal)
    const key = createKey()
    const [, csr] = await crypto.createCsr({ commonName: host, altNames: [host] }, key)
    const finalized = await settled(() => client.getOrder(order), await client.finalizeOrder(order, csr), signal)
    if (finalized.status !== 'valid') throw new Error(`the order ended as "${finalized.status}"${reasonOf(finalized)}`)
    return { key, chain: await client.getCertificate(finalized) }
  })
}

async function prove(
  client: Client,
  challenges: Challenges,
  authorization: Authorization,
  signal: AbortSignal
): Promise<void> {
  if (authorization.status === 'valid') return
  const host = authorization.identifier.value
  const challenge = authorization.challenges.find(({ type }) => type === challenges.type)
  if (challenge === undefined) {
    const offered = authorization.challenges.map(({ type }) => type).join(', ')
    throw new Error(`the authority offers no ${challenges.type} for ${host}, only ${offered}`)
  }
  const answer = await client.getChallengeKeyAuthorization(challenge)
  await using _prepared = await challenges.prepare(authorization, challenge.token, answer)
  await client.completeChallenge(challenge)
  const ended = await settled(() => current(client, authorization), await current(client, authorization), signal)
  if (ended.status !== 'valid')
    throw new Error(`the challenge ${challenges.type} for ${host} was refused${reasonOf(ended)}`)
}

async function current(client: Client, { url, identifier }: Authorization): Promise<Authorization> {
  const found = await client.getAuthorizations({ authorizations: [url] } as Order)
  const [first] = found
  if (first === undefined) throw new Error(`the authority forgot the order for ${identifier.value}`)
  return first
}

/** Asks until the authority has made up its mind. */
async function settled<T extends { status: string }>(ask: () => Promise<T>, first: T, signal: AbortSignal): Promise<T> {
  let item = first
  for (let waited = 0; item.status === 'pending' || item.status === 'processing'; waited += pollMs) {
    if (waited >= patienceMs) throw new Error(`the authority is not done after ${patienceMs / 1000} s`)
    await delay(pollMs, undefined, { signal })
    item = await ask()
  }
  return item
}

/** The problem documents in it (RFC 8555, 6.7). */
function reasonOf(item: { error?: unknown; challenges?: readonly unknown[] }): string {
  const all = [item, ...(item.challenges ?? [])].flatMap(part => {
    if (typeof part !== 'object' || part === null || !('error' in part)) return []
    const { error } = part
    if (typeof error !== 'object' || error === null || !('detail' in error)) return []
    return [String(error.detail)]
  })
  return all.length === 0 ? '' : `: ${[...new Set(all)].join('; ').slice(0, 1000)}`
}
