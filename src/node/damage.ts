import type { Health } from '../http/health.ts'
import type { Log } from '../registry/ports.ts'
import type { Registry } from '../registry/registry.ts'

const advice = 'blobs or manifests that images need are lost: "pinnace scrub" names them and what to push again'

/**
 * What is lost as a part of `/readyz`: the node is ready all the same, since the rest of its images is served. Numbers
 * only, because anybody may ask.
 */
export function damageNotices(registry: Pick<Registry, 'countDamage'>, log: Log): Required<Health>['notices'] {
  return async options => {
    try {
      const { blobs, manifests } = await registry.countDamage(options)
      return blobs + manifests === 0 ? {} : { damaged: { blobs, manifests, advice } }
    } catch (error) {
      log.error({ err: error }, 'could not read how much is lost')
      return {}
    }
  }
}
