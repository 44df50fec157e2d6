import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

/**
 * A system call of the recorded process that changes the disk or answers a client. `file` is what its descriptor stood for
 * at that moment: a path, or `socket:[…]` and the like.
 */
export type Call =
  | { type: 'open'; path: string; fd: number; create: boolean; truncate: boolean; append: boolean }
  | { type: 'write'; fd: number; file: string; bytes: Buffer; offset?: number }
  | { type: 'truncate'; fd: number; file: string; length: number }
  /** `begun` counts the calls that had ended when the sync began: only those are surely on the disk. */
  | { type: 'sync'; fd: number; file: string; begun: number }
  | { type: 'rename' | 'link'; from: string; to: string }
  | { type: 'unlink' | 'mkdir'; path: string }

/** What strace is to record; everything else a node does to its folder shows as an unknown call in {@link readTrace}. */
export const recorded =
  'openat,write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate,fallocate'

/**
 * Reads what `strace -f -xx -y` wrote, in the order in which the calls ended. A call of one thread that another's was
 * printed into is put together again.
 */
export async function* readTrace(file: string): AsyncGenerator<Call> {
  const unfinished = new Map<string, { text: string; begun: number }>()
  let ended = 0
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    const match = /^(\d+)\s+(.*)$/.exec(line)
    if (match === null) continue
    const [, pid = '', text = ''] = match
    if (text.endsWith('<unfinished ...>')) {
      unfinished.set(pid, { text: text.slice(0, -'<unfinished ...>'.length), begun: ended })
      continue
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)
    const begun = resumed === null ? undefined : unfinished.get(pid)
    const whole = resumed === null ? text : `${begun?.text ?? ''}${resumed[1] ?? ''}`
    const call = parseCall(whole, begun?.begun ?? ended)
    if (call === undefined) continue
    yield call
    ended++
  }
}

function parseCall(text: string, begun: number): Call | undefined {
  const match = /^(\w+)\((.*)\)\s+= (-?\d+)/s.exec(text)
  if (match === null) return undefined
  const [, name = '', args = '', result = '-1'] = match
  if (Number(result) < 0) return undefined
  const fd = Number(/^(\d+)/.exec(args)?.[1] ?? -1)
  const file = unhex(/^\d+<((?:\\x[0-9a-f]{2})*)/.exec(args)?.[1] ?? '').toString()
  const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(string => unhex(string[1] ?? ''))
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = strings
  switch (name) {
    case 'openat':
      return {
        type: 'open',
        path: first.toString(),
        fd: Number(result),
        create: args.includes('O_CREAT'),
        truncate: args.includes('O_TRUNC'),
        append: args.includes('O_APPEND')
      }
    case 'write':
    case 'writev':
      return { type: 'write', fd, file, bytes: Buffer.concat(strings).subarray(0, Number(result)) }
    case 'pwrite64':
    case 'pwritev':
      return {
        type: 'write',
        fd,
        file,
        bytes: Buffer.concat(strings).subarray(0, Number(result)),
        offset: lastNumber(args)
      }
    case 'ftruncate':
      return { type: 'truncate', fd, file, length: lastNumber(args) }
    case 'fsync':
    case 'fdatasync':
      return { type: 'sync', fd, file, begun }
    case 'rename':
    case 'renameat':
    case 'renameat2':
      return { type: 'rename', from: first.toString(), to: second.toString() }
    case 'link':
    case 'linkat':
      return { type: 'link', from: first.toString(), to: second.toString() }
    case 'unlink':
    case 'unlinkat':
    case 'rmdir':
      return { type: 'unlink', path: first.toString() }
    case 'mkdir':
    case 'mkdirat':
      return { type: 'mkdir', path: first.toString() }
    default:
      throw new Error(`a call that this test does not replay: ${name}`)
  }
}

function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

function lastNumber(args: string): number {
  return Number(/(\d+)\s*$/.exec(args)?.[1] ?? Number.NaN)
}
