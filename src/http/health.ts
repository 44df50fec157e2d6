import type { AbortOptions } from '../registry/ports.ts'

/** What `/readyz` reports. Cheap: asked at every probe. */
export interface Health {
  /** Failing checks by name, each with why; empty when all is well. Kept by whoever checks (distribution's `health.storagedriver`). */
  failures(): Readonly<Record<string, string>>
  /** What an operator should know of a node that serves all the same, by name. Anybody reads it: no repository, no path. */
  notices?(options?: AbortOptions): Promise<Readonly<Record<string, unknown>>>
}
