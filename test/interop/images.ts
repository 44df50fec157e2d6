/** Images made here, byte for byte, so that a test knows every digest before a client sees it. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { makeBusyboxRoot } from './dockerd.ts'
import { runTool } from './run.ts'

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  platform?: Platform
  annotations?: Record<string, string>
  artifactType?: string
}

export interface Platform {
  os: string
  architecture: string
  variant?: string
}

/** A manifest or an index with everything below it. */
export interface Image {
  readonly descriptor: Descriptor
  /** The bytes of the manifest or index. */
  readonly bytes: Buffer
  /** What it names: manifests of an index, in its order. */
  readonly children: readonly Image[]
  /** Config first, then layers; none for an index. */
  readonly blobs: readonly Blob[]
}

export interface Blob {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

export interface ImageOptions {
  /** Default: this machine's, as far as these tests run on others than amd64 and arm64. */
  platform?: Platform
  /** Default `/bin/sh`. */
  cmd?: readonly string[]
  annotations?: Record<string, string>
}

export const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip'
} as const

export const hostPlatform: Platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch }

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function describeBytes(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

const block = 512

/** A tar archive (POSIX ustar) of these files, of root, from 1970. */
export function tarOf(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts: Uint8Array[] = []
  for (const [name, bytes] of Object.entries(files)) {
    const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`
    const header = Buffer.alloc(block)
    header.write(name, 0, 100)
    header.write(octal(0o644, 8) + octal(0, 8) + octal(0, 8) + octal(bytes.length, 12) + octal(0, 12), 100)
    header.write('        0', 148)
    header.write('ustar\x0000', 257)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    parts.push(header, bytes, Buffer.alloc((block - (bytes.length % block)) % block))
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * block)])
}

let busybox: Promise<Buffer> | undefined

/** A tar archive of a root file system with a shell; the same bytes in every call of one process. */
export function busyboxLayer(): Promise<Buffer> {
  busybox ??= makeBusyboxLayer()
  return busybox
}

async function makeBusyboxLayer(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-busybox-'))
  try {
    await makeBusyboxRoot(folder)
    const entries = await readdir(folder)
    const owner = ['--numeric-owner', '--owner=0', '--group=0', '--mtime=@0', '--sort=name']
    return (await runTool('tar', ['-C', folder, ...owner, '-cf', '-', '--', ...entries])).bytes
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** An OCI image of these layers, each a tar archive, which is compressed here: not every client takes it as it is. */
export function imageOf(layers: readonly Buffer[], options: ImageOptions = {}): Image {
  const platform = options.platform ?? hostPlatform
  const layerBlobs = layers.map(tar => {
    const bytes = gzipSync(tar, { level: 1 })
    return { descriptor: describeBytes(mediaTypes.layer, bytes), bytes }
  })
  const config = Buffer.from(
    JSON.stringify({
      ...platform,
      config: { Cmd: options.cmd ?? ['/bin/sh'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
      history: layerBlobs.map(() => ({ created_by: 'a test' }))
    })
  )
  const configBlob = { descriptor: describeBytes(mediaTypes.config, config), bytes: config }
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: configBlob.descriptor,
      layers: layerBlobs.map(layer => layer.descriptor),
      ...(options.annotations && { annotations: options.annotations })
    })
  )
  const descriptor = { ...describeBytes(mediaTypes.manifest, bytes), platform }
  return { descriptor, bytes, children: [], blobs: [configBlob, ...layerBlobs] }
}

/** An image index of these, in this order. */
export function indexOf(children: readonly Image[]): Image {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: children.map(child => child.descriptor)
    })
  )
  return { descriptor: describeBytes(mediaTypes.index, bytes), bytes, children, blobs: [] }
}

/** Writes an OCI image layout whose `index.json` names these images by tag. */
export async function writeLayout(folder: string, images: Readonly<Record<string, Image>>): Promise<void> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true })
  const put = (digest: string, bytes: Buffer) => writeFile(join(folder, 'blobs', ...digest.split(':')), bytes)
  const write = async (image: Image): Promise<void> => {
    await put(image.descriptor.digest, image.bytes)
    for (const blob of image.blobs) await put(blob.descriptor.digest, blob.bytes)
    for (const child of image.children) await write(child)
  }
  for (const image of Object.values(images)) await write(image)
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const manifests = Object.entries(images).map(([tag, { descriptor }]) => ({
    ...descriptor,
    annotations: { 'org.opencontainers.image.ref.name': tag }
  }))
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}

/** The descriptors that a layout's `index.json` holds. */
export async function readLayout(folder: string): Promise<Descriptor[]> {
  const index: { manifests: Descriptor[] } = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8'))
  return index.manifests
}

/** Every digest that an image needs, its own included, each once, sorted. */
export function digestsOf(image: Image): string[] {
  const below = image.children.flatMap(digestsOf)
  const own = [image.descriptor, ...image.blobs.map(blob => blob.descriptor)].map(({ digest }) => digest)
  return [...new Set([...own, ...below])].sort()
}

/** The digests of the blobs of these images, manifests not counted, each once, sorted. */
export function blobDigests(images: readonly Image[]): string[] {
  return [...new Set(images.flatMap(image => image.blobs.map(blob => blob.descriptor.digest)))].sort()
}
