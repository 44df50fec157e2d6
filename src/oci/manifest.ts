import { RegistryError } from '../errors.ts'
import {
  type Descriptor,
  descriptor,
  descriptors,
  digestIn,
  invalid,
  isAbsent,
  isObject,
  isUnset,
  type Json,
  readDescriptor,
  readDescriptors
} from './descriptor.ts'
import { type Digest, parseWellFormed, tryParseWellFormed, type WellFormedDigest } from './digest.ts'
import { baseMediaType, isMediaType, kindOf, type ManifestKind, mediaTypes } from './media-types.ts'
import { namedDigests } from './named-digests.ts'
import { isNestedDeeper } from './nesting.ts'
import { repeatedName } from './repeated-name.ts'

export type { Descriptor } from './descriptor.ts'

/** What a registry has to know of a manifest; the bytes stay as they are. */
export interface Manifest {
  mediaType: string
  kind: ManifestKind
  config?: Descriptor
  /** Layers of an image, blobs of an artifact manifest. */
  layers: Descriptor[]
  /** Entries of an index. */
  manifests: Descriptor[]
  /** Where it is listed as a referrer, also under an algorithm that nothing can be stored under. */
  subject?: WellFormedDigest
  /** Every digest that the manifest keeps in its repository, see {@link namedDigests}. */
  names: ReadonlySet<Digest>
  artifactType?: string
  annotations?: Record<string, string>
}

/** Bytes; the specification asks for at least 4 MB (end-7). */
export const maxManifestSize = 4 * 1024 * 1024

/** Different digests that one manifest names at most: each is a record of its own. */
export const maxNames = 10_000

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
 * `manifests`, a `mediaType` that contradicts the header, decisive names in another case. A field that is null, or an empty
 * string where a media type or a digest goes, is read as one that is absent.
 *
 * @throws {RegistryError} MANIFEST_INVALID, naming the field
 */
export function parseManifest(bytes: Uint8Array, contentType: string): Manifest {
  const document = parseObject(bytes)
  refuseAmbiguity(document)
  const mediaType = decideMediaType(document, baseMediaType(contentType))
  const kind = kindOf(mediaType)
  if (kind !== 'other') checkSchemaVersion(document, kind)
  const manifest: Manifest = { mediaType, kind, layers: [], manifests: [], names: namedDigests(document) }
  if (kind === 'manifest') {
    if (demandsConfig(document)) manifest.config = descriptor(document.config, 'config')
    manifest.layers = descriptors(document.layers, 'layers')
  } else if (kind === 'index') {
    manifest.manifests = descriptors(document.manifests, 'manifests')
  } else if (kind === 'artifact') {
    manifest.layers = descriptors(document.blobs, 'blobs')
  }
  readReferrerFields(document, manifest)
  return manifest
}

/**
 * Reads a manifest that is stored, under the type it was pushed with. It was judged when it was pushed, perhaps by another
 * version of this program: what is not as expected is read as absent.
 */
export function readManifest(bytes: Uint8Array, mediaType: string): Manifest {
  const document = readObject(bytes)
  const type = isAbsent(document.mediaType) || typeof document.mediaType !== 'string' ? mediaType : document.mediaType
  const kind = kindOf(type)
  const manifest: Manifest = { mediaType: type, kind, layers: [], manifests: [], names: namedDigests(document) }
  const config = kind === 'manifest' ? readDescriptor(document.config) : undefined
  if (config !== undefined) manifest.config = config
  if (kind === 'manifest') manifest.layers = readDescriptors(document.layers)
  if (kind === 'artifact') manifest.layers = readDescriptors(document.blobs)
  if (kind === 'index') manifest.manifests = readDescriptors(document.manifests)
  const subject = subjectDigest(document.subject)
  if (subject !== undefined) manifest.subject = subject
  readArtifactType(document, manifest)
  const annotations = readAnnotations(document.annotations)
  if (annotations !== undefined) manifest.annotations = annotations
  return manifest
}

function readObject(bytes: Uint8Array): Json {
  try {
    return parseObject(bytes)
  } catch {
    return {}
  }
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

/**
 * Refuses a manifest that names more than {@link maxNames} digests. Asked once, when a manifest is pushed.
 *
 * @throws {RegistryError} MANIFEST_INVALID, with the limit and how many there are
 */
export function refuseManyNames({ names }: Manifest): void {
  if (names.size <= maxNames) return
  throw invalid(`manifest names ${names.size} different digests and at most ${maxNames} are taken: split it up`, {
    limit: maxNames,
    names: names.size
  })
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

/** Only values make two readings: a field that is null or empty beside another is none of them. */
function refuseAmbiguity(document: Json): void {
  const has = (name: string) => !isAbsent(document[name])
  for (const key of Object.keys(document)) {
    const lower = key.toLowerCase()
    const meant = decisive.find(name => name.toLowerCase() === lower)
    if (meant !== undefined && meant !== key && (has(key) || has(meant)))
      throw invalid(`ambiguous manifest: field "${key}" could be read as "${meant}"`)
  }
  if (has('manifests') && (has('layers') || has('config') || has('fsLayers'))) {
    throw invalid('ambiguous manifest: it has both "manifests" and the fields of an image')
  }
  if (has('layers') && has('fsLayers')) throw invalid('ambiguous manifest: it has both "layers" and "fsLayers"')
}

function decideMediaType(document: Json, contentType: string): string {
  const declared = isAbsent(document.mediaType) ? undefined : document.mediaType
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
  const { manifests, layers, config } = document
  if (!isAbsent(manifests)) return mediaTypes.ociIndex
  if (!isAbsent(layers) || !isAbsent(config)) return mediaTypes.ociManifest
  // A list of none that Go wrote.
  if (manifests !== undefined) return mediaTypes.ociIndex
  if (layers !== undefined || config !== undefined) return mediaTypes.ociManifest
  throw invalid('manifest has neither a Content-Type nor a mediaType')
}

function checkSchemaVersion(document: Json, kind: ManifestKind): void {
  // The retired artifact manifest never had one.
  if (kind === 'artifact' && isAbsent(document.schemaVersion)) return
  if (document.schemaVersion !== 2) throw invalid('schemaVersion is not 2')
}

/** An image has one; an artifact that says what it is may do without. */
function demandsConfig({ config, artifactType }: Json): boolean {
  return isAbsent(artifactType) || !(isAbsent(config) || isUnset(config))
}

function readReferrerFields(document: Json, manifest: Manifest): void {
  const { subject, annotations } = document
  if (manifest.kind === 'other') {
    // Of an unknown type nothing is demanded, but what has the form of a subject is one.
    const digest = subjectDigest(subject)
    if (digest !== undefined) manifest.subject = digest
  } else if (!isAbsent(subject) && !isUnset(subject)) {
    if (!isObject(subject)) throw invalid('subject is not a descriptor')
    // Nothing is done with it but listing by its digest, so no more is demanded of it.
    manifest.subject = digestIn(subject, parseWellFormed, 'subject')
  }
  readArtifactType(document, manifest)
  const read = readAnnotations(annotations)
  if (read !== undefined) manifest.annotations = read
  else if (manifest.kind !== 'other' && !isAbsent(annotations) && !isEmpty(annotations))
    throw invalid('annotations is not a map of strings')
}

function subjectDigest(value: unknown): WellFormedDigest | undefined {
  return isObject(value) && typeof value.digest === 'string' ? tryParseWellFormed(value.digest) : undefined
}

function readArtifactType({ artifactType }: Json, manifest: Manifest): void {
  if (typeof artifactType === 'string' && artifactType !== '') manifest.artifactType = artifactType
}

/** `undefined` when there are none, or when they are no map of strings. */
function readAnnotations(value: unknown): Record<string, string> | undefined {
  const entries = isObject(value) ? Object.entries(value).filter(entry => entry[1] !== null) : []
  if (entries.length === 0 || !entries.every((entry): entry is [string, string] => typeof entry[1] === 'string'))
    return undefined
  return Object.fromEntries(entries)
}

function isEmpty(value: unknown): boolean {
  return isObject(value) && Object.values(value).every(entry => entry === null)
}

/**
 * The `artifactType` that the referrers list shows (end-12a): the manifest's own, else the config's media type of an
 * image manifest; none for an index without one.
 */
export function referrerArtifactType(manifest: Manifest): string | undefined {
  return manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config?.mediaType || undefined : undefined)
}

/** Everything the manifest's type needs to be whole: each digest once, first mention wins. */
export function referencedDescriptors(manifest: Manifest): Descriptor[] {
  const seen = new Map<Digest, Descriptor>()
  const all = [...(manifest.config === undefined ? [] : [manifest.config]), ...manifest.layers, ...manifest.manifests]
  for (const entry of all) if (!seen.has(entry.digest)) seen.set(entry.digest, entry)
  return [...seen.values()]
}
