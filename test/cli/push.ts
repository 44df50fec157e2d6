import { createHash } from 'node:crypto'

export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export interface Pushed {
  /** Of the manifest. */
  digest: string
  layer: { digest: string; size: number }
}

/** Pushes an image of one layer whose bytes are the letter, `size` times. */
export async function pushImage(
  url: string,
  repository: string,
  tag: string,
  letter = 'x',
  size = 3_000_000
): Promise<Pushed> {
  const config = await pushBlob(url, repository, Buffer.from('{"architecture":"amd64","os":"linux"}'))
  const layer = await pushBlob(url, repository, Buffer.alloc(size, letter))
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer }]
  })
  const put = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'Content-Type': mediaType },
    body: manifest
  })
  if (put.status !== 201) throw new Error(`manifest: ${put.status} ${await put.text()}`)
  return { digest: sha256(manifest), layer }
}

async function pushBlob(url: string, repository: string, bytes: Buffer<ArrayBuffer>): Promise<Pushed['layer']> {
  const digest = sha256(bytes)
  const target = `${url}/v2/${repository}/blobs/uploads/?digest=${digest}`
  const headers = { 'Content-Type': 'application/octet-stream' }
  const post = await fetch(target, { method: 'POST', headers, body: bytes })
  if (post.status !== 201) throw new Error(`blob: ${post.status} ${await post.text()}`)
  return { digest, size: bytes.length }
}
