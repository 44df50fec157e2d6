import type { Identity } from '../node.ts'
import type { Page, PageRequest, Registry } from '../registry/registry.ts'
import type { Operations } from './operations.ts'

/** Names read at once. */
const pageSize = 1_000

/** What an opened node gives to a command. */
export interface LocalNode {
  registry: Registry
  identity(): Promise<Identity>
  close(): Promise<void>
}

/** The commands on a data folder that this process has opened itself. */
export function localOperations(node: LocalNode): Operations {
  const { registry } = node
  return {
    id: () => node.identity(),
    repositories: options => pages(page => registry.listRepositories(page, () => true), options),
    tags: (repository, options) => pages(page => registry.listTags(repository, page), options),
    inspect: (repository, reference, options) => registry.inspect(repository, reference, options),
    remove: (repository, reference, options) =>
      'tag' in reference
        ? registry.deleteTag(repository, reference.tag, options)
        : registry.deleteManifest(repository, reference.digest, options),
    collectGarbage: options => registry.collectGarbage(options),
    scrub: options => registry.scrub(options),
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
