import { createServer } from 'node:net'
import { Connection } from '../load/connection.ts'

/** Whether a registry is there and answers the base request (end-1). */
export async function answers(origin: string): Promise<boolean> {
  const connection = await Connection.open(origin)
  try {
    return (await connection.request('GET', '/v2/')).status === 200
  } finally {
    connection.close()
  }
}

/** A port of loopback that was free a moment ago, for programs that do not say which one they took. */
export function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
