import type { Digest } from '../../oci/digest.ts'
import type { AbortOptions } from '../ports.ts'
import { readImageManifest } from './complete.ts'
import { type ImageComponents, imageMembers } from './members.ts'

/** Whether a repository has an image with everything that its directory names. */
export async function isWholeIn(
  components: ImageComponents,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<boolean> {
  const image = await readImageManifest(components, repository, digest, options)
  return image !== undefined && (await imageMembers(components, image, options)) !== undefined
}
