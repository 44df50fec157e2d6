/** Media types of the OCI image specification 1.1 and of Docker's image manifest v2, schema 2. */
export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociArtifact: 'application/vnd.oci.artifact.manifest.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerSchema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws'
} as const

export type ManifestKind = 'manifest' | 'index' | 'artifact' | 'other'

const kinds: ReadonlyMap<string, ManifestKind> = new Map<string, ManifestKind>([
  [mediaTypes.ociManifest, 'manifest'],
  [mediaTypes.dockerManifest, 'manifest'],
  [mediaTypes.ociIndex, 'index'],
  [mediaTypes.dockerList, 'index'],
  [mediaTypes.ociArtifact, 'artifact']
])

export function kindOf(mediaType: string): ManifestKind {
  return kinds.get(mediaType) ?? 'other'
}

/** Layers that a registry need not hold: `nondistributable` of OCI, `foreign` of Docker, whatever they are packed with. */
export function isNondistributable(mediaType: string): boolean {
  const lower = mediaType.toLowerCase()
  return lower.includes('.nondistributable.') || lower.startsWith('application/vnd.docker.image.rootfs.foreign.')
}

/** `Content-Type` without its parameters, lower-cased as media types compare. */
export function baseMediaType(header: string): string {
  const semicolon = header.indexOf(';')
  return (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase()
}

/** `type/subtype` of RFC 6838, section 4.2. */
export function isMediaType(value: string): boolean {
  return /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i.test(value)
}
