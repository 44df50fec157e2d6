import type { OwnTokens } from '../access/own-tokens.ts'
import { listed } from '../http/control/token-protocol.ts'
import type { Identity } from '../node.ts'
import type { Page, PageRequest, Registry } from '../registry/registry.ts'
import type { Operations } from './operations.ts'

/** Names read at once. */
const pageSize = 1_000

/** What an opened node gives to a command. */
export interface LocalNode {
  registry: Registry
  identity(): Promise<Identity>
  tokens: Pick<OwnTokens, 'create' | 'list' | 'sessions' | 'remove'>
  close(): Promise<void>
}

export interface LocalInit {
  /** See {@link Operations.registryHost}. */
  registryHost?: string | undefined
  /** Whether the node, when it runs, asks callers who they are. */
  authenticating: boolean
}

/** The commands on a data folder that this process has opened itself. */
export function localOperations(node: LocalNode, { registryHost, authenticating }: LocalInit): Operations {
  const { registry, tokens } = node
  return {
    ...(registryHost === undefined ? {} : { registryHost }),
    id: () => node.identity(),
    repositories: options => pages(page => registry.listRepositories(page, () => true), options),
    tags: (repository, options) => pages(page => registry.listTags(repository, page), options),
    inspect: (repository, reference, options) => registry.inspect(repository, reference, options),
    remove: (repository, reference, options) =>
      'tag' in reference
        ? registry.deleteTag(repository, reference.tag, options)
        : registry.deleteManifest(repository, reference.digest, options),
    planTagRemoval: (...args) => registry.planTagRemoval(...args),
    removeTag: (...args) => registry.removeTag(...args),
    planRepositoryRemoval: (...args) => registry.planRepositoryRemoval(...args),
    removeRepository: (...args) => registry.removeRepository(...args),
    untagged: async function* (options = {}) {
      const { repository } = options
      if (repository !== undefined) await registry.listTags(repository, { limit: 1 })
      yield* registry.untagged(options)
    },
    collectGarbage: options => registry.collectGarbage(options),
    scrub: options => registry.scrub(options),
    quarantine: options => registry.listQuarantine(options),
    removeQuarantined: (name, options) => registry.removeQuarantined(name, options),
    createToken: async wanted => {
      const { token, record } = await tokens.create(wanted)
      return { token, record: listed(record), authenticating }
    },
    tokens: async function* ({ all = false } = {}) {
      for (const record of tokens.list()) yield listed(record)
      if (all) for (const record of tokens.sessions()) yield listed(record)
    },
    removeToken: async nameOrId => listed(await tokens.remove(nameOrId)),
    [Symbol.asyncDispose]: () => node.close()
  }
}

async function* pages(
  read: (page: PageRequest) => Promise<Page<string>>,
  options: { signal?: AbortSignal } = {}
): AsyncGenerator<string> {
  let after: string | undefined
  do {
    options.signal?.throwIfAborted()
    const page: Page<string> = await read({ ...options, limit: pageSize, ...(after === undefined ? {} : { after }) })
    yield* page.items
    after = page.next
  } while (after !== undefined)
}
