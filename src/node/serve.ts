import type { Authentication } from '../access/authentication.ts'
import type { Authorize } from '../access/authorize.ts'
import type { AuditLog } from '../access/ports.ts'
import { asksWho, type Config, isLoopback } from '../config.ts'
import { type App, createApp } from '../http/app.ts'
import { type ControlComponents, createControlApp } from '../http/control-app.ts'
import { measureDamage } from '../http/damage-gauge.ts'
import { createDebugApp } from '../http/debug-app.ts'
import type { Health } from '../http/health.ts'
import { type Listening, listen } from '../http/listen.ts'
import { listenControl } from '../http/listen-control.ts'
import { createHttpMetrics, type HttpMetrics } from '../http/metrics.ts'
import { type Identity, type OpenNode, openNode } from '../node.ts'
import type { Log } from '../registry/ports.ts'
import type { Registry } from '../registry/registry.ts'
import { tokenAdvice } from './access.ts'
import { Closers } from './closers.ts'
import { damageNotices } from './damage.ts'
import { type ConfigFile, followConfig } from './follow-config.ts'
import { listening } from './listen-error.ts'
import { debugAddress, heldAddresses, registryAddresses } from './listeners.ts'
import { otherRegistry } from './other-registry.ts'
import { scheduleMaintenance } from './schedule.ts'
import { appInit, namesOf } from './settings.ts'
import { startPeer } from './start-peer.ts'
import { watchStorage } from './storage-health.ts'
import { type ListenTls, openTls } from './tls.ts'

export interface ServeInit {
  log: Log
  /** Stops a start that is under way. */
  signal?: AbortSignal
  /** Told to commands that ask over the control socket. */
  version: string
  /** Followed while the node runs. */
  configFile?: ConfigFile
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
    const opening = { log, command: 'serve', create: true, serving: true }
    const node = closers.add(await openNode(config, opening), it => it.close())
    signal?.throwIfAborted()
    const running = { subject: 'operator', reference: init.version, outcome: 'allowed' } as const
    node.audit?.record({ ...running, action: 'start' })
    closers.add(node.audit, async audit => audit?.record({ ...running, action: 'stop' }))
    const { storagedriver } = config.health
    const storage = storagedriver.enabled
      ? closers.add(watchStorage(node.files, log, storagedriver), it => it.close())
      : undefined
    const other = await otherRegistry(node.folder)
    if (other !== undefined) log.warn({}, other)
    const health: Health = {
      failures: () => storage?.failures() ?? {},
      notices: damageNotices(node.registry, log)
    }
    const advice = tokenAdvice(config, node.tokens.list().length)
    if (advice !== undefined) log.warn({}, advice)
    const authentication = await openSignIn(config, node, init, closers)
    const { authorize, reach, immutable, openHint } = node.access
    const access = { authorize, reach, immutable, ...(authentication && { authentication }) }
    const metrics = await listenDebug(
      config,
      { log, access, registry: node.registry, health, ...(node.audit && { audit: node.audit }) },
      closers
    )
    const identity = () => peer.identity()
    const control = controlled(node, config, init, identity)
    const app = createApp(
      {
        registry: node.registry,
        ...access,
        control,
        log,
        ...(node.audit && { audit: node.audit }),
        ...(metrics && { metrics }),
        health
      },
      { ...appInit(config), openHint }
    )
    const tls = await openTls(config, { log, folder: node.folder }, closers)
    const oci = closers.add(await listenOci(app, config, tls), it => it.drain(0))
    tls?.start?.()
    signal?.throwIfAborted()
    const peer = startPeer(node, config, log)
    closers.add(peer, it => it.close())
    await listenForCommands(node, { ...control, log }, closers)
    node.upgrade()
    closers.add(scheduleMaintenance(node.registry, config, log), it => it.close())
    if (init.configFile !== undefined) {
      closers.add(await followConfig(config, init.configFile, { ...node, log }), it => it.close())
    }
    return {
      addresses: oci.urls,
      identity,
      drain: async timeoutMs => {
        const cut = await oci.drain(timeoutMs)
        if (cut > 0) log.warn({ connections: cut }, 'http.draintimeout is over: requests under way were cut')
      },
      close: () => closers.close()
    }
  } catch (error) {
    await closers.close()
    throw error
  }
}

/** How people and machines sign in, where they are asked to; what that takes is loaded only then. */
async function openSignIn(
  config: Config,
  node: OpenNode,
  init: ServeInit,
  closers: Closers
): Promise<Authentication | undefined> {
  if (!asksWho(config)) return undefined
  const { openCredentials } = await import('./credentials.ts')
  const { access, tokens, audit } = node
  const components = { authorize: access.authorize, tokens, log: init.log, ...(audit && { audit }) }
  const credentials = await openCredentials(config, components, init)
  return closers.add(credentials, it => it.close()).authentication
}

async function listenOci(app: App, config: Config, tls: ListenTls | undefined): Promise<Listening> {
  return listening('http.addr', () =>
    listen(app, registryAddresses(config), {
      headersTimeoutMs: config.ipfs.timeouts.headers,
      ...(tls && { tls: tls.tls, certificates: tls.certificates })
    })
  )
}

interface DebugParts {
  log: Log
  access: { authorize: Authorize; authentication?: Authentication }
  registry: Registry
  audit?: AuditLog
  health: Health
}

/** `http.debug`: metrics exist only where somebody can read them, which from elsewhere takes `admin` once somebody can sign in. */
async function listenDebug(config: Config, parts: DebugParts, closers: Closers): Promise<HttpMetrics | undefined> {
  const { log, health, access, audit, registry } = parts
  const { prometheus } = config.http.debug
  const address = debugAddress(config)
  if (address === undefined) return undefined
  const metrics = prometheus.enabled ? createHttpMetrics() : undefined
  if (metrics !== undefined) measureDamage(metrics, registry)
  const isGuarded = access.authentication !== undefined && !isLoopback({ kind: 'tcp', ...address })
  const app = createDebugApp(
    {
      log,
      path: prometheus.path,
      ...(isGuarded && { access }),
      ...(audit && { audit }),
      ...(metrics && { metrics }),
      health
    },
    namesOf(config)
  )
  closers.add(app, it => it.close())
  await listening('http.debug.addr', () => app.listen(address))
  return metrics
}

/** What administers the node, by its socket or from afar. */
function controlled(
  node: OpenNode,
  config: Config,
  { version }: ServeInit,
  identity: () => Promise<Identity>
): Required<Pick<ControlComponents, 'node' | 'access'>> {
  const listeners = () => heldAddresses(config, identity)
  return {
    node: { version, identity, listeners, folder: node.folderIdentity },
    access: { tokens: node.tokens, authenticating: asksWho(config) }
  }
}

async function listenForCommands(
  node: OpenNode,
  components: Pick<ControlComponents, 'node' | 'access' | 'log'>,
  closers: Closers
): Promise<void> {
  const { registry, audit } = node
  const app = closers.add(createControlApp({ ...components, registry, ...(audit && { audit }) }), it => it.close())
  await listenControl(app, await node.publishControlSocket())
}
