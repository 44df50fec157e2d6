import { createHash } from 'node:crypto'
import { Connection } from './connection.ts'
import { expectStatus } from './push.ts'

export interface Pull {
  origin: string
  repository: string
  digest: string
  /** Bytes that have to come. */
  size: number
  /** How many at once; each pulls the whole blob. */
  connections: number
  /** Hash what comes, and reject what is not the blob. For a pull that is not measured. */
  verify?: boolean
}

/** Seconds until the last byte of the last connection, connecting left out. */
export async function pullBlob(pull: Pull): Promise<number> {
  const open = await Promise.all(Array.from({ length: pull.connections }, () => Connection.open(pull.origin)))
  const start = performance.now()
  try {
    await Promise.all(open.map(connection => pullOnce(connection, pull)))
  } finally {
    for (const connection of open) connection.close()
  }
  return (performance.now() - start) / 1000
}

async function pullOnce(connection: Connection, pull: Pull): Promise<void> {
  const hash = pull.verify === true ? createHash('sha256') : undefined
  let received = 0
  const sink = (bytes: Buffer): void => {
    received += bytes.length
    hash?.update(bytes)
  }
  const response = await connection.request('GET', `/v2/${pull.repository}/blobs/${pull.digest}`, { sink })
  expectStatus(response, 200)
  if (received !== pull.size) throw new Error(`${pull.size} bytes expected, ${received} came`)
  if (hash !== undefined && `sha256:${hash.digest('hex')}` !== pull.digest) throw new Error('pulled bytes do not hash')
}
