/** What `/readyz` reports. Whoever checks (the storage health check of distribution's `health.storagedriver`) keeps it. */
export interface Health {
  /** Failing checks by name, each with why; empty when all is well. Cheap: asked at every probe. */
  failures(): Readonly<Record<string, string>>
}
