import type { FastifyInstance } from 'fastify'
import { wholeNode } from '../access/authorize.ts'
import { showSubject } from '../access/subject.ts'
import { RegistryError } from '../errors.ts'
import type { WhoAdministers } from './audit-control.ts'
import { addControlRoutes, type ControlComponents, createControlFastify } from './control-app.ts'
import type { Guard, Visitor } from './guard.ts'

export interface AdminComponents extends ControlComponents {
  guard: Guard
}

/** Whether a path belongs to the admin API. */
export function isAdminPath(path: string, prefix: string): boolean {
  const root = `${prefix}/admin`
  return path.startsWith(root) && (path.length === root.length || path[root.length] === '/')
}

/**
 * The control routes at `<prefix>/admin/v1` of the registry's own address, for whoever has `admin` on the whole node. Every
 * other path below `/admin` answers the same to those who have not. It takes a password or an own token in each request, so
 * no page in a browser can use what somebody else signed in with.
 */
export function createAdminApp(components: AdminComponents, prefix: string): FastifyInstance {
  const { guard } = components
  const visitors = new WeakMap<object, Visitor>()
  const who: WhoAdministers = ({ raw }) => {
    const visitor = visitors.get(raw)
    const from = guard.sourceOf(raw)
    return { subject: visitor === undefined ? 'anonymous' : showSubject(visitor.caller.subject), from }
  }
  const app = createControlFastify(components, who)
  app.addHook('onRequest', async request => {
    const visitor = await guard.identify(request.raw)
    visitors.set(request.raw, visitor)
    demandAdmin(guard, visitor)
  })
  // A body may not pause; the work it asks for may take hours without a word.
  app.addHook('preHandler', async request => void request.raw.setTimeout(0))
  app.register(async scope => addControlRoutes(scope, components, who), { prefix: `${prefix}/admin/v1` })
  return app
}

/** What the admin API answers where nobody is asked for a password. */
export function adminClosed(): RegistryError {
  return new RegistryError('DENIED', {
    message:
      'this node asks nobody for a password, so it is administered by its control socket only: run the command beside it, or set auth.htpasswd'
  })
}

/** @throws {RegistryError} UNAUTHORIZED with a challenge, DENIED */
function demandAdmin(guard: Guard, visitor: Visitor): void {
  guard.demandCredential(visitor)
  if (visitor.caller.scopes !== undefined && guard.hasRight(visitor, 'admin', wholeNode)) {
    throw new RegistryError('DENIED', {
      message:
        'a bearer token issued by /token is for images: administer with a password or a token of "pinnace token create"'
    })
  }
  guard.demand(visitor, 'admin', wholeNode)
}
