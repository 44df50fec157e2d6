/**
 * Which folder a path leads to, whatever it is called there: a folder seen through a bind mount, a link or after `mv` is the
 * same one, a copy of it is another. A node says over its control socket which one it holds.
 *
 * @module
 */
import { stat, statfs } from 'node:fs/promises'
import { createConnection } from 'node:net'

/** Numbers of the file system, in decimal: 64 bits, more than a JavaScript number holds. */
export interface FolderIdentity {
  device: string
  inode: string
}

/** @throws the operating system's error */
export async function identifyFolder(path: string): Promise<FolderIdentity> {
  const { dev, ino } = await stat(path, { bigint: true })
  return { device: String(dev), inode: String(ino) }
}

/**
 * File systems that several machines may have mounted, by the type that statfs(2) gives: NFS, the three of SMB, Ceph, Lustre,
 * GFS2, OCFS2, AFS. One of them mounted twice has two devices, so there the inode alone tells folders apart.
 */
const sharedTypes = new Set([
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x00c36400, 0x0bd00bd0, 0x01161970, 0x7461636f, 0x5346414f
])

export async function isShared(path: string): Promise<boolean> {
  const { type } = await statfs(path)
  return sharedTypes.has(type)
}

/** Whether both name the folder at `path`, of which `seen` is the identity here. */
export async function isSameFolder(path: string, seen: FolderIdentity, named: FolderIdentity): Promise<boolean> {
  if (seen.inode !== named.inode) return false
  return seen.device === named.device || isShared(path)
}

/** ms until a node that accepted the question counts as silent. */
const patience = 2_000

/** Bytes of an answer; a node's has about a hundred after its headers. */
const longest = 16 * 1024

/**
 * Which folder the node behind a control socket holds. `gone`: nobody listens there; `silent`: somebody may, and did not
 * answer; `untold`: a node of a version that does not say.
 */
export async function askFolder(socket: string): Promise<FolderIdentity | 'gone' | 'silent' | 'untold'> {
  const answer = await ask(socket)
  if (answer === 'gone' || answer === 'silent') return answer
  return parseAnswer(answer) ?? 'untold'
}

/** The whole answer. By hand, as this is asked before anything of HTTP is loaded. */
function ask(socket: string): Promise<string> {
  return new Promise(settle => {
    const connection = createConnection(socket)
    let text = ''
    const end = (answer: string) => {
      connection.destroy()
      settle(answer)
    }
    connection.setTimeout(patience, () => end('silent'))
    connection.once('connect', () => connection.write('GET /folder HTTP/1.0\r\n\r\n'))
    connection.setEncoding('latin1').on('data', part => {
      text += part
      if (text.length > longest) end(text)
    })
    connection.once('end', () => end(text))
    connection.once('error', error => end('code' in error && absences.has(String(error.code)) ? 'gone' : 'silent'))
  })
}

/** What connecting says where nobody listens. Anything else, such as EACCES, says nothing about that. */
const absences = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'ENOTSOCK'])

function parseAnswer(text: string): FolderIdentity | undefined {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2)
  if (!/^HTTP\/1\.[01] 200 /.test(head)) return undefined
  try {
    return readIdentity(JSON.parse(body))
  } catch {
    return undefined
  }
}

/** The identity in a value that was read from somewhere; `undefined` when it is none. */
export function readIdentity(value: unknown): FolderIdentity | undefined {
  if (typeof value !== 'object' || value === null || !('device' in value && 'inode' in value)) return undefined
  const { device, inode } = value
  return typeof device === 'string' && typeof inode === 'string' ? { device, inode } : undefined
}
