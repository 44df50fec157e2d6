import { networkInterfaces } from 'node:os'
import { asksWho } from '../config/exposure.ts'
import { type Config, type ListenAddress, listenAddresses, readAddress } from '../config.ts'
import { type App, createApp } from '../http/app.ts'
import { createControlApp } from '../http/control-app.ts'
import { createDebugApp } from '../http/debug-app.ts'
import type { Health } from '../http/health.ts'
import { type Listening, listen } from '../http/listen.ts'
import { listenControl } from '../http/listen-control.ts'
import { createHttpMetrics, type HttpMetrics } from '../http/metrics.ts'
import { type Identity, type OpenNode, openNode } from '../node.ts'
import type { Log } from '../registry/ports.ts'
import { tokenAdvice } from './access.ts'
import { Closers } from './closers.ts'
import { openCredentials } from './credentials.ts'
import { scheduleMaintenance } from './schedule.ts'
import { appInit, readTls } from './settings.ts'
import { startPeer } from './start-peer.ts'
import { watchStorage } from './storage-health.ts'

export interface ServeInit {
  log: Log
  /** Stops a start that is under way. */
  signal?: AbortSignal
  /** Told to commands that ask over the control socket. */
  version: string
  /** ms a bearer token of this node is good for. Default 5 minutes. */
  bearerLifetimeMs?: number
}

/** A serving node. */
export interface ServedNode {
  /** URLs that the registry answers on, e.g. `http://127.0.0.1:5005`. */
  readonly addresses: readonly string[]
  /** Settles when libp2p listens; rejects when it cannot. */
  identity(): Promise<Identity>
  /** Takes no new requests and waits for those under way, at most so many ms. */
  drain(timeoutMs: number): Promise<void>
  /** In reverse order of the start. Idempotent. */
  close(): Promise<void>
}

/** Starts everything, HTTP before libp2p: a registry answers within a fraction of a second. A failed start leaves nothing running. */
export async function serveNode(config: Config, init: ServeInit): Promise<ServedNode> {
  const { log, signal } = init
  const closers = new Closers()
  try {
    const node = closers.add(await openNode(config, { log, command: 'serve' }), it => it.close())
    signal?.throwIfAborted()
    const running = { subject: 'operator', reference: init.version, outcome: 'allowed' } as const
    node.audit?.record({ ...running, action: 'start' })
    closers.add(node.audit, async audit => audit?.record({ ...running, action: 'stop' }))
    const { storagedriver } = config.health
    const health = storagedriver.enabled
      ? closers.add(watchStorage(node.files, log, storagedriver), it => it.close())
      : undefined
    const metrics = await listenDebug(config, log, health, closers)
    const { openHint } = node.access
    const advice = tokenAdvice(config, node.tokens.list().length)
    if (advice !== undefined) log.warn({}, advice)
    const { authentication } = closers.add(await openCredentials(config, { ...node.access, ...node, log }, init), it =>
      it.close()
    )
    const app = createApp(
      {
        registry: node.registry,
        authorize: node.access.authorize,
        immutable: node.access.immutable,
        ...(authentication && { authentication }),
        log,
        ...(node.audit && { audit: node.audit }),
        ...(metrics && { metrics }),
        ...(health && { health })
      },
      { ...appInit(config), ...(openHint && { openHint }) }
    )
    const listening = closers.add(await listenOci(app, config), it => it.drain(0))
    signal?.throwIfAborted()
    const peer = startPeer(node, config, log)
    closers.add(peer, it => it.close())
    await listenForCommands(node, config, () => peer.identity(), init, closers)
    closers.add(scheduleMaintenance(node.registry, config, log), it => it.close())
    return {
      addresses: listening.urls,
      identity: () => peer.identity(),
      drain: async timeoutMs => {
        const cut = await listening.drain(timeoutMs)
        if (cut > 0) log.warn({ connections: cut }, 'http.draintimeout is over: requests under way were cut')
      },
      close: () => closers.close()
    }
  } catch (error) {
    await closers.close()
    throw error
  }
}

async function listenOci(app: App, config: Config): Promise<Listening> {
  const tls = await readTls(config)
  return listen(app, presentAddresses(listenAddresses(config.http)), {
    headersTimeoutMs: config.ipfs.timeouts.headers,
    ...(tls === undefined ? {} : { tls })
  })
}

/**
 * The default is both loopbacks; a machine without IPv6 has only one of them. What somebody wrote on its own must work.
 */
function presentAddresses(addresses: ListenAddress[]): ListenAddress[] {
  if (addresses.length < 2) return addresses
  const present = Object.values(networkInterfaces()).some(list => list?.some(entry => entry.address === '::1'))
  return addresses.filter(address => present || address.kind === 'unix' || address.host !== '::1')
}

/** `http.debug`: metrics exist only where somebody can read them. */
async function listenDebug(
  config: Config,
  log: Log,
  health: Health | undefined,
  closers: Closers
): Promise<HttpMetrics | undefined> {
  const { addr, prometheus } = config.http.debug
  const address = addr === undefined ? undefined : readAddress(addr)
  if (address === undefined || !('port' in address)) return undefined
  const metrics = prometheus.enabled ? createHttpMetrics() : undefined
  const app = createDebugApp({ log, path: prometheus.path, ...(metrics && { metrics }), ...(health && { health }) })
  closers.add(app, it => it.close())
  await app.listen(address)
  return metrics
}

async function listenForCommands(
  node: OpenNode,
  config: Config,
  identity: () => Promise<Identity>,
  init: ServeInit,
  closers: Closers
): Promise<void> {
  const { log, version } = init
  const access = { tokens: node.tokens, authenticating: asksWho(config) }
  const { registry, audit } = node
  const components = { registry, node: { version, identity }, access, log, ...(audit && { audit }) }
  const app = closers.add(createControlApp(components), it => it.close())
  await listenControl(app, await node.publishControlSocket())
}
