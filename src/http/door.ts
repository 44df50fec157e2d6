import type { ImmutableTag } from '../access/immutable.ts'
import type { Log } from '../registry/ports.ts'
import type { Registry } from '../registry/registry.ts'
import type { ByteBodies } from './byte-bodies.ts'
import type { ClientLimits } from './client-limits.ts'
import type { Guard } from './guard.ts'
import type { Turns } from './in-turn.ts'
import type { Locations } from './location.ts'
import type { ManifestHeaders } from './manifest-headers.ts'
import type { SealedNames } from './sealed-names.ts'

/** Settings that endpoints read, all given. */
export interface DoorInit {
  deleteEnabled: boolean
  readOnly: boolean
  /** Items of a page at most, and without `n`. */
  pageSize: number
  /** Bytes of a manifest. */
  manifestLimit: number
  /** ms a request's body may pause. */
  bodyStallMs: number
  /** ms a client may take nothing of a response's body. */
  writeStallMs: number
}

/** What every endpoint of the OCI door shares. */
export interface Door {
  registry: Registry
  /** Asked before anything is looked at. */
  guard: Guard
  immutable: ImmutableTag
  /** Every request is counted once, when it is known who makes it. */
  limits: ClientLimits
  log: Log
  init: DoorInit
  locations: Locations
  bodies: ByteBodies
  /** Turns to read a list that may be long. */
  lists: Turns
  sealedNames: SealedNames
  manifestHeaders: ManifestHeaders
}
