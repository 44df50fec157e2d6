import type { AuditEntry, AuditLog } from '../access/ports.ts'
import type { RemovedManifest } from '../registry/registry.ts'
import type { Operations } from './operations.ts'

/** The commands on a folder that no node serves, told to the same audit log that the node would tell. */
export function auditedOperations(operations: Operations, audit: AuditLog): Operations {
  const told = async <T>(
    about: Pick<AuditEntry, 'action' | 'repository' | 'reference'>,
    work: Promise<T>
  ): Promise<T> => {
    try {
      const result = await work
      audit.record({ subject: 'operator', ...about, outcome: 'allowed' })
      return result
    } catch (error) {
      audit.record({ subject: 'operator', ...about, outcome: 'failed' })
      throw error
    }
  }
  return {
    ...operations,
    remove: (repository, reference, options) => {
      const named = 'tag' in reference ? reference.tag : reference.digest
      return told({ action: 'delete', repository, reference: named }, operations.remove(repository, reference, options))
    },
    removeTag: (repository, tag, options) => {
      const onManifest = ({ digest }: RemovedManifest) =>
        audit.record({ subject: 'operator', action: 'delete', repository, reference: digest, outcome: 'allowed' })
      const about = { action: 'delete', repository, reference: tag } as const
      return told(about, operations.removeTag(repository, tag, { ...options, onManifest }))
    },
    removeRepository: (repository, options) =>
      told({ action: 'delete', repository }, operations.removeRepository(repository, options)),
    collectGarbage: options => told({ action: 'admin', reference: '/gc' }, operations.collectGarbage(options)),
    scrub: options => told({ action: 'admin', reference: '/scrub' }, operations.scrub(options)),
    removeQuarantined: (name, options) =>
      told({ action: 'admin', reference: `/quarantine/remove ${name}` }, operations.removeQuarantined(name, options)),
    createToken: (wanted, options) =>
      told({ action: 'token', reference: wanted.name }, operations.createToken(wanted, options)),
    removeToken: async nameOrId => {
      // Named by what it was, since what was typed may be the secret itself.
      const removed = await operations.removeToken(nameOrId)
      audit.record({ subject: 'operator', action: 'token', reference: removed.name, outcome: 'allowed' })
      return removed
    }
  }
}
