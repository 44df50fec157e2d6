import { Gauge } from 'prom-client'
import type { Registry } from '../registry/registry.ts'
import type { HttpMetrics } from './metrics.ts'

/** `pinnace_damaged`: two look-ups a scrape, however much is stored. */
export function measureDamage({ registry: register }: HttpMetrics, registry: Pick<Registry, 'countDamage'>): void {
  new Gauge({
    name: 'pinnace_damaged',
    help: 'Blobs and manifests that were here, that repositories hold, and that are lost until they are pushed again.',
    labelNames: ['kind'],
    registers: [register],
    async collect() {
      // Where the count cannot be read the series is absent, which is not the same as none; the others are still served.
      this.reset()
      const counts = await registry.countDamage().catch(() => undefined)
      if (counts === undefined) return
      const { blobs, manifests } = counts
      this.set({ kind: 'blob' }, blobs)
      this.set({ kind: 'manifest' }, manifests)
    }
  })
}
