import { createHash } from 'node:crypto'
import { Connection } from './connection.ts'
import { Content } from './content.ts'
import { expectStatus, pushBlob } from './push.ts'

export const manifestType = 'application/vnd.oci.image.manifest.v1+json'

/** Pushes an image of a configuration and so many layers of 4 KiB, under a tag. Resolves with its manifest's digest. */
export async function pushImage(origin: string, repository: string, tag: string, layers = 6): Promise<string> {
  const connection = await Connection.open(origin)
  try {
    const contents = Array.from(
      { length: layers + 1 },
      (_, index) => new Content(`${repository}/${tag}/${index}`, 4096)
    )
    for (const content of contents) await pushBlob(connection, repository, content, 'length')
    const descriptor = (mediaType: string, { digest, size }: Content) => ({ mediaType, digest, size })
    const [config, ...rest] = contents
    if (config === undefined) throw new Error('an image has a configuration')
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: descriptor('application/vnd.oci.image.config.v1+json', config),
        layers: rest.map(layer => descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer))
      })
    )
    const response = await connection.request('PUT', `/v2/${repository}/manifests/${tag}`, {
      headers: { 'Content-Type': manifestType },
      body: { buffers: () => [manifest], length: manifest.length }
    })
    expectStatus(response, 201)
    return `sha256:${createHash('sha256').update(manifest).digest('hex')}`
  } finally {
    connection.close()
  }
}
