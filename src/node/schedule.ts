import type { Config } from '../config.ts'
import { RegistryError } from '../errors.ts'
import type { Log } from '../registry/ports.ts'
import type { Registry } from '../registry/registry.ts'
import { Closers } from './closers.ts'
import { repeat } from './repeat.ts'

/** What the node does by itself, as configured: purge of old uploads, garbage collection, scrub. */
export function scheduleMaintenance(registry: Registry, config: Config, log: Log): { close(): Promise<void> } {
  const stops = new Closers()
  const { uploadpurging, readonly } = config.storage.maintenance
  const { gc, scrub } = config.ipfs
  const every = (interval: number, name: string, work: (signal: AbortSignal) => Promise<void>) => {
    if (interval > 0) stops.add(repeat(interval, guarded(log, name, work)), stop => stop())
  }
  if (!readonly.enabled) {
    if (uploadpurging.enabled)
      every(uploadpurging.interval, 'purge of uploads', signal => purge(registry, uploadpurging, log, signal))
    every(gc.interval, 'garbage collection', async signal => {
      const report = await registry.collectGarbage({ signal })
      log.info(report, 'garbage collected')
    })
  }
  every(scrub.interval, 'scrub', async signal => {
    const report = await registry.scrub({ signal, onDamage: damage => log.error(damage, 'scrub found damage') })
    log.info(report, 'scrub done')
  })
  return stops
}

async function purge(
  registry: Registry,
  init: Config['storage']['maintenance']['uploadpurging'],
  log: Log,
  signal: AbortSignal
): Promise<void> {
  const count = await registry.purgeUploads(init.age, { dryRun: init.dryrun, signal })
  log.info({ count, dryRun: init.dryrun }, 'old upload sessions purged')
}

/** A failed run is logged and the next one comes; one that an operator started just now is no failure. */
function guarded(log: Log, name: string, work: (signal: AbortSignal) => Promise<void>) {
  return async (signal: AbortSignal) => {
    try {
      await work(signal)
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof RegistryError && error.reason === 'UNAVAILABLE')
        log.info({}, `${name} skipped: ${error.message}`)
      else log.error({ err: error }, `${name} failed`)
    }
  }
}
