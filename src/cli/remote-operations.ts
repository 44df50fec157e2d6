import type {
  GcLine,
  GcRequest,
  IdResponse,
  ImageRequest,
  InspectResponse,
  ListLine,
  ScrubLine,
  ScrubRequest,
  VersionResponse
} from '../http/control-protocol.ts'
import { controlProtocol } from '../http/control-protocol.ts'
import type { ManifestReference } from '../oci/reference.ts'
import type { AbortOptions } from '../registry/ports.ts'
import type { GcOptions, GcReport, ScrubOptions, ScrubReport } from '../registry/registry.ts'
import { ControlClient } from './control-client.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import type { Operations } from './operations.ts'

/**
 * The commands asked of the running node behind a control socket.
 *
 * @throws {CommandFailure} when the node speaks another version of the protocol
 */
export async function remoteOperations(socket: string, options?: AbortOptions): Promise<Operations> {
  const client = new ControlClient(socket)
  const { version, protocol } = await client.json<VersionResponse>('GET', '/version', undefined, options)
  if (protocol !== controlProtocol) {
    client.close()
    const advice = 'use the command line of the same version'
    throw new CommandFailure(
      exitCodes.failure,
      `the running node is Pinnace ${version} and speaks otherwise: ${advice}`
    )
  }
  return new RemoteOperations(client)
}

class RemoteOperations implements Operations {
  readonly #client: ControlClient

  constructor(client: ControlClient) {
    this.#client = client
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

  async collectGarbage({ signal, onProgress, ...request }: GcOptions = {}): Promise<GcReport> {
    const body: GcRequest = request
    for await (const line of this.#client.lines<GcLine>('POST', '/gc', body, { ...(signal && { signal }) })) {
      if ('result' in line) return line.result
      if ('progress' in line) onProgress?.(line.progress)
    }
    throw cut()
  }

  async scrub({ signal, onProgress, onDamage, ...request }: ScrubOptions = {}): Promise<ScrubReport> {
    const body: ScrubRequest = request
    for await (const line of this.#client.lines<ScrubLine>('POST', '/scrub', body, { ...(signal && { signal }) })) {
      if ('result' in line) return line.result
      if ('damage' in line) onDamage?.(line.damage)
      else if ('progress' in line) onProgress?.(line.progress)
    }
    throw cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close()
  }
}

function cut(): CommandFailure {
  return new CommandFailure(exitCodes.failure, 'the node broke off before the work was done; its log says why')
}
