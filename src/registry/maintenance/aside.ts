import { RegistryError } from '../../errors.ts'
import type { Registration } from '../components.ts'
import { type AbortOptions, lossKinds, type QuarantinedFile } from '../ports.ts'
import type { AsideFile, DamageCounts } from '../registry.ts'

/** Every file under `quarantine/`, in no order, with what became of the bytes that should be in its place. */
export async function* listAside(registration: Registration, options?: AbortOptions): AsyncGenerator<AsideFile> {
  for await (const { path: _, ...file } of registration.files.listQuarantined(options))
    yield { ...file, state: await stateOf(registration, file, options) }
}

async function stateOf(
  { metadata }: Registration,
  { digest }: Pick<QuarantinedFile, 'digest'>,
  options?: AbortOptions
): Promise<AsideFile['state']> {
  if (digest === undefined) return 'unneeded'
  if ((await metadata.blob(digest, options)) !== undefined) return 'replaced'
  if ((await metadata.manifestBytes(digest, options)) !== undefined) return 'replaced'
  for (const kind of lossKinds) if ((await metadata.loss(kind, digest, options)) !== undefined) return 'lost'
  return 'unneeded'
}

/** How many blobs and manifests are lost: one look-up each. */
export async function countDamage({ metadata }: Registration, options?: AbortOptions): Promise<DamageCounts> {
  return {
    blobs: await metadata.lossCount('blob', options),
    manifests: await metadata.lossCount('manifest', options)
  }
}

/** @throws {RegistryError} NOT_FOUND */
export async function removeAside({ files }: Registration, name: string): Promise<void> {
  if (!(await files.removeQuarantined(name)))
    throw new RegistryError('NOT_FOUND', { message: `quarantine/ has no file ${name}`, detail: { name } })
}
