import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Pushing by hand, where a test wants no client between itself and the registry. */

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

export const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar'
} as const

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk)
  return `sha256:${hash.digest('hex')}`
}

/** Uploads a blob in one PUT and gives the CID the registry says it has. */
export async function pushBlob(
  url: string,
  repository: string,
  blob: { digest: string; size: number; body: () => Readable }
): Promise<string> {
  const opened = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  const location = new URL(opened.headers.get('location') ?? '', url)
  location.searchParams.set('digest', blob.digest)
  const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': blob.size }
  const answer = await new Promise<{ status: number | undefined; path: string }>((resolve, reject) => {
    const put = request(location, { method: 'PUT', headers }, response => {
      response.resume().once('end', () => {
        resolve({ status: response.statusCode, path: String(response.headers['x-ipfs-path']) })
      })
    })
    put.once('error', reject)
    pipeline(blob.body(), put).catch(reject)
  })
  if (answer.status !== 201) throw new Error(`PUT of ${blob.digest}: ${answer.status}`)
  return answer.path.replace('/ipfs/', '')
}

export async function pushBytes(url: string, repository: string, bytes: Uint8Array): Promise<string> {
  const body = (): Readable => Readable.from(bytes.byteLength === 0 ? [] : [bytes])
  return await pushBlob(url, repository, { digest: sha256(bytes), size: bytes.byteLength, body })
}

/** Pushes a manifest under a tag; gives its descriptor and the CID of its image. */
export async function pushManifest(
  url: string,
  repository: string,
  tag: string,
  manifest: { mediaType: string }
): Promise<{ descriptor: Descriptor; imageCid: string }> {
  const bytes = Buffer.from(JSON.stringify(manifest))
  const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'Content-Type': manifest.mediaType },
    body: bytes
  })
  if (response.status !== 201) throw new Error(`PUT of manifest ${tag}: ${response.status} ${await response.text()}`)
  const descriptor = { mediaType: manifest.mediaType, digest: sha256(bytes), size: bytes.byteLength }
  const path = response.headers.get('x-ipfs-path') ?? ''
  const imageCid = /^\/ipfs\/([^/]+)\/blobs\/sha256\/([0-9a-f]{64})$/.exec(path)
  if (imageCid?.[1] === undefined || `sha256:${imageCid[2]}` !== descriptor.digest) {
    throw new Error(`X-Ipfs-Path of ${descriptor.digest} is "${path}"`)
  }
  return { descriptor, imageCid: imageCid[1] }
}

/** Pushes an image of these layers: config, layers, manifest. */
export async function pushImage(
  url: string,
  repository: string,
  tag: string,
  image: { architecture: string; layers: readonly Uint8Array[] }
): Promise<{ descriptor: Descriptor; imageCid: string }> {
  const config = Buffer.from(
    JSON.stringify({
      architecture: image.architecture,
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: image.layers.map(sha256) }
    })
  )
  const blobs = [config, ...image.layers]
  for (let at = 0; at < blobs.length; at += 16) {
    await Promise.all(blobs.slice(at, at + 16).map(bytes => pushBytes(url, repository, bytes)))
  }
  const describe = (mediaType: string, bytes: Uint8Array): Descriptor => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.byteLength
  })
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: describe(mediaTypes.config, config),
    layers: image.layers.map(layer => describe(mediaTypes.layer, layer))
  }
  return await pushManifest(url, repository, tag, manifest)
}
