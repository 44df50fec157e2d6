import { type ListenAddress, readAddress } from './address.ts'
import { accessAdvice, checkRules, checkSignIn } from './check-access.ts'
import { checkHeaders } from './check-headers.ts'
import { checkTls } from './check-tls.ts'
import { showDuration } from './duration.ts'
import { type Finding, finding, findingAt } from './finding.ts'
import { type Place, type Problem, problemAt, showValue } from './problem.ts'
import type { Config } from './schema.ts'
import { showSize } from './size.ts'
import { judge } from './unjudged.ts'
import { placeOf } from './validate.ts'

/** What one key asks of another, and texts whose grammar depends on another key; as far as it can be judged, see {@link judge}. */
export function crossCheck(config: Config, places: ReadonlyMap<string, Place>): Problem[] {
  const checks: (() => Iterable<Finding>)[] = [
    () => checkAddresses(config.http),
    () => checkDebugAddress(config.http),
    () => checkHeaders(config.http.headers),
    () => checkTls(config.http),
    () => checkPeers(config.ipfs.peers),
    () => checkManifestLimit(config.ipfs.limits.manifest),
    ...checkPositive(config),
    () => checkUntagged(config, places),
    () => checkSignIn(config.auth),
    () => checkRules(config)
  ]
  const findings = checks.flatMap(check => [...judge(check)])
  return findings.map(({ pointer, key, sentence }) => problemAt(placeOf(pointer, places), sentence, key))
}

const wanted = {
  tcp: 'is not an address; write HOST:PORT such as 127.0.0.1:5005, [::1]:5005, or :5005 for all interfaces',
  unix: 'is not a path for a unix socket; write one of at most 104 bytes'
}

function* checkAddresses({ addr, net }: Config['http']): Generator<Finding> {
  const seen = new Set<string>()
  for (const [index, text] of addr.entries()) {
    const key = addr.length === 1 ? 'http.addr' : `http.addr[${index}]`
    const pointer = `/http/addr/${index}`
    if (readAddress(text, net) === undefined) yield finding(pointer, key, `${showValue(text)} ${wanted[net]}`)
    else if (seen.has(text) && !text.endsWith(':0')) yield finding(pointer, key, `${showValue(text)} is given twice`)
    seen.add(text)
  }
}

function* checkDebugAddress(http: Config['http']): Generator<Finding> {
  const { addr } = http.debug
  if (addr === undefined) return
  const about = (rest: string) => finding('/http/debug/addr', 'http.debug.addr', `${showValue(addr)} ${rest}`)
  if (readAddress(addr) === undefined) yield about(wanted.tcp)
  else if (http.net === 'tcp' && http.addr.includes(addr) && !addr.endsWith(':0'))
    yield about('is http.addr too; write another port')
}

function* checkPeers(peers: Config['ipfs']['peers']): Generator<Finding> {
  for (const [index, peer] of peers.entries()) {
    if (/\/p2p\/[^/]+$/.test(peer)) continue
    yield finding(
      `/ipfs/peers/${index}`,
      `ipfs.peers[${index}]`,
      `${showValue(peer)} names no peer; end it in /p2p/<peer ID>`
    )
  }
}

/**
 * Without a pause a check would run without end; without a timeout a silent client would be waited for without end; what was
 * fetched would be forgotten before it is counted.
 */
function checkPositive(config: Config): (() => Iterable<Finding>)[] {
  const durations: Record<string, () => number> = {
    'health.storagedriver.interval': () => config.health.storagedriver.interval,
    'ipfs.timeouts.headers': () => config.ipfs.timeouts.headers,
    'ipfs.timeouts.stall': () => config.ipfs.timeouts.stall
  }
  return [
    ...Object.entries(durations).map(
      ([key, read]) =>
        () =>
          checkDuration(key, read())
    ),
    () => checkWindows(config.quotas)
  ]
}

function* checkDuration(key: string, milliseconds: number): Generator<Finding> {
  if (milliseconds > 0) return
  yield findingAt(key, `${showDuration(milliseconds)} is no time at all; write at least 1ms`)
}

function* checkWindows(quotas: Config['quotas']): Generator<Finding> {
  for (const [at, { fetch }] of quotas.entries()) {
    if (fetch === undefined || fetch.per > 0) continue
    const advice = 'in which nothing would ever be too much; write how long fetched bytes count, such as 24h'
    yield findingAt(`quotas[${at}].fetch.per`, `0s is no time at all, ${advice}`)
  }
}

/** The old name of `ipfs.gc.untagged` may stand beside it only where it says the same. */
function* checkUntagged({ ipfs }: Config, places: ReadonlyMap<string, Place>): Generator<Finding> {
  const { deleteuntagged, untagged, grace } = ipfs.gc
  if (deleteuntagged === undefined || !places.has('/ipfs/gc/untagged')) return
  if (untagged === (deleteuntagged ? grace : 0)) return
  yield finding(
    '/ipfs/gc/deleteuntagged',
    'ipfs.gc.deleteuntagged',
    `${deleteuntagged} contradicts ipfs.gc.untagged: ${showDuration(untagged)}; leave out deleteuntagged, which is deprecated`
  )
}

/** What a manifest may have at most: it is held in memory, and other registries take no more either. */
const largestManifest = 4 * 1024 * 1024

function* checkManifestLimit(limit: number): Generator<Finding> {
  if (limit > 0 && limit <= largestManifest) return
  yield finding(
    '/ipfs/limits/manifest',
    'ipfs.limits.manifest',
    `${showSize(limit)} is too much or nothing; write at most 4MiB`
  )
}

/** Addresses of the registry's listener, parsed. */
export function listenAddresses({ addr, net }: Config['http']): ListenAddress[] {
  return addr.map(text => readAddress(text, net)).filter(address => address !== undefined)
}

function* untaggedAdvice({ ipfs }: Config): Generator<string> {
  const { deleteuntagged, grace } = ipfs.gc
  if (deleteuntagged === undefined) return
  const instead =
    deleteuntagged && grace > 0 ? `write ipfs.gc.untagged: ${showDuration(grace)} instead` : 'leave it out'
  yield `ipfs.gc.deleteuntagged is deprecated; ${instead}`
}

/** What an operator should know although the node starts. */
export function* advice(config: Config): Generator<string> {
  yield* judge(() => accessAdvice(config))
  yield* judge(() => untaggedAdvice(config))
  yield* judge(() => targetAdvice(config))
}

function* targetAdvice(config: Config): Generator<string> {
  for (const target of ['estuary', 'storj'] as const) {
    if (config.storage[target] === undefined) continue
    yield `storage.${target} is kept for pin targets, which this version does not have: blobs are stored in ${config.storage.filesystem.rootdirectory} only`
  }
}
