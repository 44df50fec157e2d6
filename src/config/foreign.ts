import { isBlank, type MapNode, type Node } from './tree.ts'

/**
 * A setting of distribution that Pinnace does not have. Most are passed over with a warning; one that guards the door
 * stops the start, because a registry that silently drops its password is open.
 */
export interface ForeignKey {
  /** What follows from its being ignored, after the warning. */
  consequence?: string
  /** Why the node must not start with it, and what to do; asked only when something is configured there. */
  stops?: (parent: MapNode) => string | undefined
  /** Whether its mere name stops the start, with nothing configured there: `auth: silly`. */
  named?: boolean
}

const localDisk = { consequence: 'blobs are kept on the local disk' }

const otherProvider: ForeignKey = {
  named: true,
  stops: () =>
    'without it the registry would be open. Write auth.htpasswd or auth.token instead, or remove auth: then nobody is asked for a password'
}

const clientCertificates: ForeignKey = {
  stops: () =>
    'client certificates are not asked for, and without them anyone who reaches the node could come in. Remove it and use auth.htpasswd or auth.token, or let a proxy in front ask for them'
}

const foreignKeys: Readonly<Record<string, ForeignKey>> = {
  'auth.none': otherProvider,
  'auth.silly': otherProvider,
  catalog: {},
  compatibility: {},
  'health.file': {},
  'health.http': {},
  'health.tcp': {},
  'http.h2c': {},
  'http.http2': {},
  'http.tls.clientauth': {},
  'http.tls.clientcas': clientCertificates,
  'log.hooks': {},
  'log.reportcaller': {},
  middleware: {},
  notifications: {},
  policy: {},
  proxy: {},
  redis: {},
  reporting: {},
  'storage.azure': localDisk,
  'storage.cache': {},
  'storage.cos': localDisk,
  'storage.gcs': localDisk,
  'storage.inmemory': localDisk,
  'storage.middleware': {},
  'storage.oss': localDisk,
  'storage.s3': localDisk,
  'storage.s3aws': localDisk,
  'storage.swift': localDisk,
  'storage.tag': {},
  tags: {},
  'validation.enabled': {}
}

/** Names of all of them, for the reference. */
export const foreignKeyNames: readonly string[] = Object.keys(foreignKeys)

/**
 * A provider of `auth` that somebody built into distribution is one too. But not what a container platform sets for a
 * service that is called "registry-auth": `REGISTRY_AUTH_SERVICE_HOST`, `REGISTRY_AUTH_PORT`.
 */
export function foreignKey(key: string): ForeignKey | undefined {
  if (Object.hasOwn(foreignKeys, key)) return foreignKeys[key]
  return /^auth\.(?!service$|port$)[^.]+$/.test(key) ? otherProvider : undefined
}

/** What to say about a foreign key that was written. */
export function judgeForeign(key: string, node: Node, parent: MapNode): { stop: string } | { warning: string } {
  const rule = foreignKey(key)
  const stop = isBlank(node) && rule?.named !== true ? undefined : rule?.stops?.(parent)
  if (stop !== undefined) return { stop: `${key} is a setting of distribution that Pinnace does not have: ${stop}` }
  const consequence = rule?.consequence === undefined ? '' : `: ${rule.consequence}`
  return { warning: `${key} is a setting of distribution that Pinnace does not have; ignored${consequence}` }
}
