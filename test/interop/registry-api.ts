/** The few requests of the OCI API that tests make themselves: to look behind a client's back, and to race. */
import { type Descriptor, digestOf, type Image } from './images.ts'

// Any manifest will do, in as many words as distribution wants: `*/*` alone does not say so to it.
export const acceptManifests = {
  Accept: [
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
    'application/vnd.docker.distribution.manifest.v2+json',
    '*/*'
  ].join(', ')
}

/** A request to a registry at `url`, e.g. `http://127.0.0.1:5005`; `path` starts behind `/v2/`. */
export async function ask(url: string, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(new URL(`/v2/${path}`, url), { signal: AbortSignal.timeout(60_000), ...init })
}

/** As {@link ask}, and an `Error` with the response's body where its status is not `status`. */
export async function expectAsk(url: string, path: string, status: number, init: RequestInit = {}): Promise<Response> {
  const response = await ask(url, path, init)
  if (response.status === status) return response
  throw new Error(`${init.method ?? 'GET'} ${path}: ${response.status}, not ${status}: ${await response.text()}`)
}

/** Uploads in one request, which distribution does not know, and gives the status. */
export async function postBlob(url: string, repository: string, bytes: Buffer, digest = digestOf(bytes)) {
  const headers = { 'Content-Type': 'application/octet-stream' }
  const response = await ask(url, `${repository}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    headers,
    body: new Uint8Array(bytes)
  })
  await response.arrayBuffer()
  return response.status
}

/** Opens an upload session and gives where it is, as a path of the server. */
export async function openUpload(url: string, repository: string): Promise<string> {
  const response = await expectAsk(url, `${repository}/blobs/uploads/`, 202, { method: 'POST' })
  return locationOf(response, url)
}

/** `Location` of a response, absolute. */
export function locationOf(response: Response, url: string): string {
  const location = response.headers.get('location')
  if (location === null) throw new Error(`no Location in an answer of ${response.status}`)
  return new URL(location, url).href
}

/** Uploads in two requests, a POST and a PUT with all bytes. */
export async function putBlob(url: string, repository: string, bytes: Buffer, digest = digestOf(bytes)): Promise<void> {
  const put = new URL(await openUpload(url, repository))
  put.searchParams.set('digest', digest)
  const headers = { 'Content-Type': 'application/octet-stream' }
  const response = await fetch(put, { method: 'PUT', headers, body: new Uint8Array(bytes) })
  if (response.status !== 201) throw new Error(`${digest}: ${response.status}: ${await response.text()}`)
}

export async function putManifest(url: string, repository: string, reference: string, image: Image): Promise<void> {
  const response = await expectAsk(url, `${repository}/manifests/${reference}`, 201, {
    method: 'PUT',
    headers: { 'Content-Type': image.descriptor.mediaType },
    body: new Uint8Array(image.bytes)
  })
  await response.arrayBuffer()
}

/** Pushes an image or index with everything below it, skipping what `HEAD` says is there, as clients do. */
export async function pushImage(url: string, repository: string, tag: string, image: Image): Promise<void> {
  for (const child of image.children) await pushImage(url, repository, child.descriptor.digest, child)
  for (const { descriptor, bytes } of image.blobs) {
    const head = await ask(url, `${repository}/blobs/${descriptor.digest}`, { method: 'HEAD' })
    if (head.status === 200) continue
    await putBlob(url, repository, bytes, descriptor.digest)
  }
  await putManifest(url, repository, tag, image)
}

/** The whole blob or manifest, once its bytes were found to be what its digest says. */
export async function getVerified(url: string, path: string, digest: string): Promise<Buffer> {
  const bytes = Buffer.from(await (await expectAsk(url, path, 200, { headers: acceptManifests })).arrayBuffer())
  if (digestOf(bytes) !== digest) throw new Error(`${path}: ${bytes.length} bytes with digest ${digestOf(bytes)}`)
  return bytes
}

/** Gets an image and all its blobs and checks every byte. */
export async function validateImage(url: string, repository: string, reference: string, image: Image): Promise<void> {
  await getVerified(url, `${repository}/manifests/${reference}`, image.descriptor.digest)
  const all: Descriptor[] = image.blobs.map(blob => blob.descriptor)
  for (const { digest } of all) await getVerified(url, `${repository}/blobs/${digest}`, digest)
  for (const child of image.children) await validateImage(url, repository, child.descriptor.digest, child)
}
