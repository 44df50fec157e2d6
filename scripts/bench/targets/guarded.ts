import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hash } from '@node-rs/bcrypt'
import { type Pinnace, startPinnace } from '../../../test/interop/node.ts'

/** A node of ours that asks who somebody is; what anonymous may do suffices for the bench, so every credential can be compared with none. */
export interface GuardedNode {
  node: Pinnace
  /** `Authorization` of a user with a password. */
  basic: string
  /** `Authorization` of a bearer token of the node, good for five minutes. */
  bearer(repository: string): Promise<string>
}

export async function startGuardedNode(folder: string, signal: AbortSignal): Promise<GuardedNode> {
  const [user, password] = ['bench', 'only for this run']
  const path = join(folder, 'htpasswd')
  await writeFile(path, `${user}:${await hash(password, 10)}\n`)
  const node = await startPinnace({
    config: {
      log: { level: 'error', accesslog: { disabled: true } },
      auth: { htpasswd: { realm: 'bench', path } },
      access: [
        { subject: 'anonymous', repositories: 'bench/**', actions: ['pull', 'push'] },
        { subject: 'user', repositories: '**', actions: ['pull', 'push'] }
      ]
    },
    dataDir: join(folder, 'data'),
    signal
  })
  const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const bearer = async (repository: string): Promise<string> => {
    const url = new URL('/token', node.url)
    url.searchParams.set('scope', `repository:${repository}:pull`)
    const response = await fetch(url, { headers: { Authorization: basic }, signal })
    if (response.status !== 200) throw new Error(`${url.pathname}: ${response.status} ${await response.text()}`)
    const answer: { token: string } = JSON.parse(await response.text())
    return `Bearer ${answer.token}`
  }
  return { node, basic, bearer }
}
