import type { NewToken } from '../access/new-token.ts'
import { RegistryError } from '../errors.ts'
import type { QuarantineLine, RemoveAsideRequest } from '../http/control/quarantine-protocol.ts'
import type {
  CreateTokenRequest,
  CreateTokenResponse,
  ListedToken,
  RemoveTokenRequest,
  TokenLine,
  TokenResponse
} from '../http/control/token-protocol.ts'
import type {
  GcLine,
  GcRequest,
  IdResponse,
  ImageRequest,
  InspectResponse,
  ListLine,
  RemoveRepositoryLine,
  RemoveTagRequest,
  RepositoryRequest,
  ScrubLine,
  ScrubRequest,
  TagsRequest,
  UntaggedLine,
  VersionResponse
} from '../http/control-protocol.ts'
import { controlProtocol } from '../http/control-protocol.ts'
import type { Digest } from '../oci/digest.ts'
import type { ManifestReference } from '../oci/reference.ts'
import type { AbortOptions } from '../registry/ports.ts'
import type {
  AsideFile,
  GcOptions,
  GcReport,
  RepositoryRemoval,
  RepositoryRemovalPlan,
  ScrubOptions,
  ScrubReport,
  TagRemoval,
  TagRemovalPlan,
  UntaggedManifest
} from '../registry/registry.ts'
import { ControlClient } from './control-client.ts'
import type { ControlTransport } from './control-transport.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import type { Operations } from './operations.ts'
import { printable } from './terminal.ts'

/**
 * The commands asked of a node over its control protocol.
 *
 * @throws {CommandFailure} when it lets nobody in with this, is none, or speaks another version of the protocol
 */
export async function remoteOperations(transport: ControlTransport, options: RemoteOptions = {}): Promise<Operations> {
  const client = new ControlClient(transport)
  try {
    await greet(client, options)
  } catch (error) {
    client.close()
    throw error
  }
  return new RemoteOperations(client, options.registryHost)
}

export interface RemoteOptions extends AbortOptions {
  /** See {@link Operations.registryHost}. */
  registryHost?: string | undefined
}

async function greet(client: ControlClient, options?: AbortOptions): Promise<void> {
  const answer = await client
    .json<Partial<VersionResponse> | null>('GET', '/version', undefined, options)
    .catch(explainRefusal(client.name))
  const { version, protocol } = answer ?? {}
  if (typeof protocol !== 'number') {
    throw new CommandFailure(exitCodes.failure, `${client.name} gives an answer that is none of Pinnace`)
  }
  if (protocol !== controlProtocol) {
    const advice = 'use the command line of the same version'
    throw new CommandFailure(
      exitCodes.failure,
      `${client.name} is Pinnace ${printable(String(version))} and speaks otherwise: ${advice}`
    )
  }
}

/** The first question is one that any admin may ask, so its refusal is about who asks, or where. */
function explainRefusal(name: string): (error: unknown) => never {
  return cause => {
    if (!(cause instanceof RegistryError)) throw cause
    const sentence = refusals[cause.status]
    if (sentence === undefined) throw cause
    throw new CommandFailure(exitCodes.failure, `${name} ${sentence} (${cause.message})`, { cause })
  }
}

const refusals: Readonly<Record<number, string>> = {
  401: 'wants a token that it made and that has not expired: give it with --token-file',
  403: 'does not let you administer it, which takes the action admin on **',
  404: 'has no admin API there: check the address, and that it ends in the http.prefix of the node if it has one'
}

class RemoteOperations implements Operations {
  readonly registryHost?: string
  readonly #client: ControlClient

  constructor(client: ControlClient, registryHost?: string) {
    this.#client = client
    if (registryHost !== undefined) this.registryHost = registryHost
  }

  id(options?: AbortOptions): Promise<IdResponse> {
    return this.#client.json('GET', '/id', undefined, options)
  }

  async *repositories(options?: AbortOptions): AsyncGenerator<string> {
    for await (const line of this.#client.lines<ListLine>('GET', '/ls', undefined, options)) {
      if ('repository' in line) yield line.repository
    }
  }

  async *tags(repository: string, options?: AbortOptions): AsyncGenerator<string> {
    const path = `/ls?repository=${encodeURIComponent(repository)}`
    for await (const line of this.#client.lines<ListLine>('GET', path, undefined, options)) {
      if ('tag' in line) yield line.tag
    }
  }

  inspect(repository: string, reference: ManifestReference, options?: AbortOptions): Promise<InspectResponse> {
    const request: ImageRequest = { repository, ...reference }
    return this.#client.json('POST', '/inspect', request, options)
  }

  async remove(repository: string, reference: ManifestReference, options?: AbortOptions): Promise<void> {
    const request: ImageRequest = { repository, ...reference }
    await this.#client.call('POST', '/rm', request, options)
  }

  planTagRemoval(repository: string, tags: readonly string[], options?: AbortOptions): Promise<TagRemovalPlan> {
    const body: TagsRequest = { repository, tags: [...tags] }
    return this.#client.json('POST', '/rm/plan', body, options)
  }

  removeTag(
    repository: string,
    tag: string,
    { digest, signal }: AbortOptions & { digest?: Digest } = {}
  ): Promise<TagRemoval> {
    const body: RemoveTagRequest = { repository, tag, ...(digest && { digest }) }
    return this.#client.json('POST', '/rm/tag', body, { ...(signal && { signal }) })
  }

  planRepositoryRemoval(repository: string, options?: AbortOptions): Promise<RepositoryRemovalPlan> {
    const body: RepositoryRequest = { repository }
    return this.#client.json('POST', '/rm/all/plan', body, options)
  }

  async removeRepository(
    repository: string,
    { signal, onProgress }: AbortOptions & { onProgress?: (done: Readonly<RepositoryRemoval>) => void } = {}
  ): Promise<RepositoryRemoval> {
    const body: RepositoryRequest = { repository }
    const options = { ...(signal && { signal }) }
    for await (const line of this.#client.lines<RemoveRepositoryLine>('POST', '/rm/all', body, options)) {
      if ('result' in line) return line.result
      if ('progress' in line) onProgress?.(line.progress)
    }
    throw cut()
  }

  async *untagged({
    repository,
    signal
  }: AbortOptions & { repository?: string } = {}): AsyncGenerator<UntaggedManifest> {
    const path = repository === undefined ? '/untagged' : `/untagged?repository=${encodeURIComponent(repository)}`
    const options = { ...(signal && { signal }) }
    for await (const line of this.#client.lines<UntaggedLine>('GET', path, undefined, options)) {
      if ('untagged' in line) yield line.untagged
    }
  }

  async collectGarbage({ signal, onProgress, onWait, ...request }: GcOptions = {}): Promise<GcReport> {
    const body: GcRequest = request
    for await (const line of this.#client.lines<GcLine>('POST', '/gc', body, { ...(signal && { signal }) })) {
      if ('result' in line) return line.result
      if ('waiting' in line) onWait?.(line.waiting)
      else if ('progress' in line) onProgress?.(line.progress)
    }
    throw cut()
  }

  async scrub({ signal, onProgress, onDamage, onIncomplete, ...request }: ScrubOptions = {}): Promise<ScrubReport> {
    const body: ScrubRequest = request
    for await (const line of this.#client.lines<ScrubLine>('POST', '/scrub', body, { ...(signal && { signal }) })) {
      if ('result' in line) return line.result
      if ('damage' in line) onDamage?.(line.damage)
      else if ('incomplete' in line) onIncomplete?.(line.incomplete)
      else if ('progress' in line) onProgress?.(line.progress)
    }
    throw cut()
  }

  async *quarantine(options?: AbortOptions): AsyncGenerator<AsideFile> {
    for await (const { file } of this.#client.lines<QuarantineLine>('GET', '/quarantine', undefined, options))
      yield file
  }

  async removeQuarantined(name: string, options?: AbortOptions): Promise<void> {
    const request: RemoveAsideRequest = { name }
    await this.#client.call('POST', '/quarantine/remove', request, options)
  }

  createToken(wanted: NewToken, options?: AbortOptions): Promise<CreateTokenResponse> {
    const grants = wanted.grants.map(({ repositories, actions }) => ({ repositories, actions: [...actions] }))
    const body: CreateTokenRequest = { ...wanted, grants }
    return this.#client.json('POST', '/tokens', body, options)
  }

  async *tokens({ all = false, ...options }: AbortOptions & { all?: boolean } = {}): AsyncGenerator<ListedToken> {
    const path = all ? '/tokens?all=true' : '/tokens'
    for await (const { record } of this.#client.lines<TokenLine>('GET', path, undefined, options)) yield record
  }

  async removeToken(nameOrId: string, options?: AbortOptions): Promise<ListedToken> {
    const body: RemoveTokenRequest = { token: nameOrId }
    return (await this.#client.json<TokenResponse>('POST', '/tokens/remove', body, options)).record
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close()
  }
}

function cut(): CommandFailure {
  return new CommandFailure(exitCodes.failure, 'the node broke off before the work was done; its log says why')
}
