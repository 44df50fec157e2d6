import { type Config, compilePattern } from '../config.ts'
import type { AppInit } from '../http/app.ts'
import type { HostCheckInit } from '../http/host-check.ts'
import type { RegistryInit, RequiredPlatforms } from '../registry/components.ts'
import type { StorageInit } from '../storage/open-storage.ts'
import { configuredQuotas } from './quotas.ts'

/** The configuration as the use cases want it. */
export function registryInit(config: Config): RegistryInit {
  const { disabled, manifests } = config.validation
  const quotaOf = configuredQuotas(config.quotas)
  const init: RegistryInit = {
    ...(quotaOf && { quotaOf }),
    verifyReads: config.ipfs.verify.reads,
    graceMs: config.ipfs.gc.grace,
    ...untaggedAge(config.ipfs.gc),
    sparse: manifests.sparse,
    platforms: disabled ? 'none' : requiredPlatforms(manifests.indexes)
  }
  if (disabled) return init
  const { allow, deny } = manifests.urls
  return { ...init, urls: { allow: allow.map(compilePattern), deny: deny.map(compilePattern) } }
}

/** `0s` keeps untagged manifests for ever; the old switch takes them with the grace period, also where that is none. */
function untaggedAge({ grace, untagged, deleteuntagged }: Config['ipfs']['gc']): Pick<RegistryInit, 'untaggedMs'> {
  if (deleteuntagged === true) return { untaggedMs: grace }
  return untagged > 0 ? { untaggedMs: untagged } : {}
}

function requiredPlatforms(indexes: Config['validation']['manifests']['indexes']): RequiredPlatforms {
  if (indexes.platforms !== 'list') return indexes.platforms
  return indexes.platformlist.map(({ os = '', architecture = '' }) => ({ os, architecture }))
}

/** What this node may be called. */
export function namesOf({ http }: Config): HostCheckInit {
  return {
    ...(http.host === undefined ? {} : { host: http.host }),
    ...(http.hosts === undefined ? {} : { hosts: http.hosts })
  }
}

/** The configuration as the OCI door wants it. */
export function appInit(config: Config): AppInit {
  const { http, storage, log, ipfs } = config
  return {
    prefix: http.prefix,
    ...namesOf(config),
    relativeUrls: http.relativeurls,
    headers: http.headers,
    trustProxy: http.trustproxy,
    deleteEnabled: storage.delete.enabled,
    readOnly: storage.maintenance.readonly.enabled,
    auditPulls: log.audit.pulls,
    accessLog: !log.accesslog.disabled && (log.level === 'info' || log.level === 'debug'),
    limits: ipfs.limits,
    timeouts: { bodyStallMs: ipfs.timeouts.stall }
  }
}

/** The configuration as the files' side wants it. */
export function storageInit(config: Config): StorageInit {
  const { limits, reserve } = config.ipfs
  return {
    uploads: { idleSessions: 64 },
    hash: { threads: limits.hashing },
    ...(reserve === undefined ? {} : { reserve })
  }
}
