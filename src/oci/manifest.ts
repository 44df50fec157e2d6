import { RegistryError } from '../errors.ts'
import { type Digest, isDigestShaped, parseDigest, tryParseDigest } from './digest.ts'
import { baseMediaType, isMediaType, isNondistributable, kindOf, type ManifestKind, mediaTypes } from './media-types.ts'
import { isNestedDeeper } from './nesting.ts'
import { repeatedName } from './repeated-name.ts'

/** A descriptor as the manifest spells it, checked. */
export interface Descriptor {
  mediaType: string
  digest: Digest
  /** Bytes. */
  size: number
  /** Only in an index: what the child says it runs on, as written. */
  platform?: unknown
  /** The registry need not hold it. */
  nondistributable: boolean
}

/** What a registry has to know of a manifest; the bytes stay as they are. */
export interface Manifest {
  mediaType: string
  kind: ManifestKind
  config?: Descriptor
  /** Layers of an image, blobs of an artifact manifest. */
  layers: Descriptor[]
  /** Entries of an index. */
  manifests: Descriptor[]
  subject?: Digest
  artifactType?: string
  annotations?: Record<string, string>
}

/** Bytes; the specification asks for at least 4 MB (end-7). */
export const maxManifestSize = 4 * 1024 * 1024

type Json = Record<string, unknown>

/** Fields whose meaning decides what an image is; Go clients read their names case-insensitively. */
const decisive = [
  'mediaType',
  'schemaVersion',
  'config',
  'layers',
  'manifests',
  'fsLayers',
  'blobs',
  'subject',
  'artifactType',
  'annotations'
]

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads a manifest pushed under `contentType` (parameters ignored, empty when the client sent none).
 *
 * A document that two clients could read as two different things is refused (CVE-2021-41190): `layers` beside
 * `manifests`, a `mediaType` that contradicts the header, decisive names in another case.
 *
 * @throws {RegistryError} MANIFEST_INVALID, naming the field
 */
export function parseManifest(bytes: Uint8Array, contentType: string): Manifest {
  const document = parseObject(bytes)
  refuseAmbiguity(document)
  const mediaType = decideMediaType(document, baseMediaType(contentType))
  const kind = kindOf(mediaType)
  if (kind !== 'other') checkSchemaVersion(document, kind)
  const manifest: Manifest = { mediaType, kind, layers: [], manifests: [] }
  if (kind === 'manifest') {
    manifest.config = descriptor(document.config, 'config')
    manifest.layers = descriptors(document.layers, 'layers')
  } else if (kind === 'index') {
    manifest.manifests = descriptors(document.manifests, 'manifests')
  } else if (kind === 'artifact') {
    manifest.layers = document.blobs === undefined ? [] : descriptors(document.blobs, 'blobs')
  }
  readReferrerFields(document, manifest)
  return manifest
}

function parseObject(bytes: Uint8Array): Json {
  let document: unknown
  try {
    document = JSON.parse(decoder.decode(bytes))
  } catch (error) {
    throw new RegistryError('MANIFEST_INVALID', { message: 'manifest is not JSON in UTF-8', cause: error })
  }
  if (!isObject(document)) throw invalid('manifest is not a JSON object')
  return document
}

/**
 * Refuses a manifest with a name twice in one object: which of the two counts is every parser's own choice, so that two
 * clients could pull two different images by one digest. Asked once, when a manifest is pushed.
 *
 * @param bytes what {@link parseManifest} has accepted.
 * @throws {RegistryError} MANIFEST_INVALID
 */
export function refuseRepeatedNames(bytes: Uint8Array): void {
  const name = repeatedName(decoder.decode(bytes))
  if (name !== undefined) throw invalid(`ambiguous manifest: field "${name.slice(0, 200)}" appears twice in one object`)
}

/** Objects and lists in each other; a manifest of the specifications has five or six, annotations nothing deeper. */
const maxNesting = 1_000

/**
 * Refuses what would take long to parse; asked before {@link parseManifest}, of what a client sent.
 *
 * @throws {RegistryError} MANIFEST_INVALID
 */
export function refuseDeepNesting(bytes: Uint8Array): void {
  if (isNestedDeeper(bytes, maxNesting)) throw invalid(`manifest is nested deeper than ${maxNesting} levels`)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(message: string, detail?: unknown): RegistryError {
  return new RegistryError('MANIFEST_INVALID', detail === undefined ? { message } : { message, detail })
}

function refuseAmbiguity(document: Json): void {
  for (const key of Object.keys(document)) {
    const lower = key.toLowerCase()
    const meant = decisive.find(name => name.toLowerCase() === lower)
    if (meant !== undefined && meant !== key)
      throw invalid(`ambiguous manifest: field "${key}" could be read as "${meant}"`)
  }
  if ('manifests' in document && ('layers' in document || 'config' in document || 'fsLayers' in document)) {
    throw invalid('ambiguous manifest: it has both "manifests" and the fields of an image')
  }
  if ('layers' in document && 'fsLayers' in document)
    throw invalid('ambiguous manifest: it has both "layers" and "fsLayers"')
}

function decideMediaType(document: Json, contentType: string): string {
  const declared = document.mediaType
  if (declared !== undefined && typeof declared !== 'string') throw invalid('mediaType is not a string')
  if (contentType !== '' && !isMediaType(contentType))
    throw invalid(`Content-Type "${contentType.slice(0, 200)}" is not a media type`)
  if (declared !== undefined && contentType !== '' && declared.toLowerCase() !== contentType) {
    throw invalid(`Content-Type "${contentType}" contradicts the manifest's mediaType "${declared.slice(0, 200)}"`)
  }
  const mediaType = declared ?? (contentType === '' ? infer(document) : contentType)
  if (!isMediaType(mediaType)) throw invalid(`mediaType "${mediaType.slice(0, 200)}" is not a media type`)
  if (
    mediaType === mediaTypes.dockerSchema1 ||
    mediaType === mediaTypes.dockerSchema1Signed ||
    document.schemaVersion === 1
  ) {
    throw invalid('Docker image manifest schema 1 is not supported: push schema 2 or OCI')
  }
  return mediaType
}

function infer(document: Json): string {
  if ('manifests' in document) return mediaTypes.ociIndex
  if ('layers' in document || 'config' in document) return mediaTypes.ociManifest
  throw invalid('manifest has neither a Content-Type nor a mediaType')
}

function checkSchemaVersion(document: Json, kind: ManifestKind): void {
  // The retired artifact manifest never had one.
  if (kind === 'artifact' && document.schemaVersion === undefined) return
  if (document.schemaVersion !== 2) throw invalid('schemaVersion is not 2')
}

function descriptors(value: unknown, path: string): Descriptor[] {
  // Go's encoder writes a nil slice as null; a list of none is legal.
  if (value === null) return []
  if (!Array.isArray(value)) throw invalid(`${path} is not a list of descriptors`)
  return value.map((entry, index) => descriptor(entry, `${path}[${index}]`))
}

function descriptor(value: unknown, path: string): Descriptor {
  if (!isObject(value)) throw invalid(`${path} is not a descriptor`)
  const { mediaType, digest, size } = value
  if (typeof mediaType !== 'string') throw invalid(`${path}.mediaType is not a string`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(`${path}.size is not a number of bytes`)
  const read: Descriptor = {
    mediaType,
    digest: descriptorDigest(digest, path),
    size,
    nondistributable: isNondistributable(mediaType)
  }
  if (value.platform !== undefined) read.platform = value.platform
  return read
}

function descriptorDigest(value: unknown, path: string): Digest {
  if (typeof value !== 'string' || !isDigestShaped(value)) throw invalid(`${path}.digest is not a digest`)
  try {
    return parseDigest(value)
  } catch (error) {
    throw new RegistryError('MANIFEST_INVALID', {
      message: `${path}.digest: ${error instanceof Error ? error.message : 'invalid'}`,
      cause: error
    })
  }
}

function readReferrerFields(document: Json, manifest: Manifest): void {
  if (document.subject !== undefined && document.subject !== null) readSubject(document.subject, manifest)
  if (typeof document.artifactType === 'string' && document.artifactType !== '')
    manifest.artifactType = document.artifactType
  const annotations = readAnnotations(document.annotations, manifest.kind)
  if (annotations !== undefined) manifest.annotations = annotations
}

function readSubject(value: unknown, manifest: Manifest): void {
  if (manifest.kind !== 'other') {
    manifest.subject = descriptor(value, 'subject').digest
    return
  }
  // Of an unknown type nothing is demanded, but what has the form of a subject is one.
  const digest = isObject(value) && typeof value.digest === 'string' ? tryParseDigest(value.digest) : undefined
  if (digest !== undefined) manifest.subject = digest
}

function readAnnotations(value: unknown, kind: ManifestKind): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined
  const entries = isObject(value) ? Object.entries(value) : undefined
  if (entries?.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
    return entries.length === 0 ? undefined : Object.fromEntries(entries)
  }
  if (kind === 'other') return undefined
  throw invalid('annotations is not a map of strings')
}

/**
 * The `artifactType` that the referrers list shows (end-12a): the manifest's own, else the config's media type of an
 * image manifest; none for an index without one.
 */
export function referrerArtifactType(manifest: Manifest): string | undefined {
  return manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config?.mediaType : undefined)
}

/** Everything the manifest needs to be whole: each digest once, first mention wins. */
export function referencedDescriptors(manifest: Manifest): Descriptor[] {
  const seen = new Map<Digest, Descriptor>()
  const all = [...(manifest.config === undefined ? [] : [manifest.config]), ...manifest.layers, ...manifest.manifests]
  for (const entry of all) if (!seen.has(entry.digest)) seen.set(entry.digest, entry)
  return [...seen.values()]
}
