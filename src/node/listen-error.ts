/** Key of the configuration that says where to listen. */
export type ListenKey = 'http.addr' | 'http.debug.addr' | 'http.tls.letsencrypt.http' | 'ipfs.listen'

/** A listener that could not start; the message has the address, why, and the key to change. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly key: ListenKey

  /** @param where as it was written, or as the system says it */
  constructor(key: ListenKey, where: string, reason: string, options: ErrorOptions) {
    const variable = `REGISTRY_${key.replaceAll('.', '_').toUpperCase()}`
    const who = key === 'ipfs.listen' ? 'IPFS cannot' : 'cannot'
    super(`${who} listen on ${where}: ${reason} with ${key} or ${variable}`, options)
    this.key = key
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has it; stop that, or choose another address',
  EACCES: `user ${process.getuid?.() ?? ''} may not (ports below 1024 are for root); choose another address`,
  EADDRNOTAVAIL: 'this machine has no such address; choose another',
  ENOTFOUND: 'there is no such host name; choose another address'
}

/** What the system says of a unix socket. */
const socketReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'there is a file of that name; remove it if no program listens there, or choose another path',
  // Node says so of a folder that is not there, too.
  EACCES: `its folder is not there, or user ${process.getuid?.() ?? ''} may not write it; make it, or choose another path`,
  ENOTDIR: 'a part of the path is no folder; choose another'
}

/** The error of a listener, or of a trial one, as a {@link ListenError}; any other error as it is. */
export function listenError(key: ListenKey, error: unknown): unknown {
  const code = property(error, 'code')
  const syscall = property(error, 'syscall')
  if (typeof code !== 'string' || !['listen', 'bind', 'getaddrinfo'].includes(String(syscall))) return error
  const where = whereOf(error)
  const known = where.includes('/') ? socketReasons[code] : reasons[code]
  const reason = known ?? `${String(property(error, 'message'))}; choose another address`
  return new ListenError(key, where, reason, { cause: error })
}

/** Runs what opens a listener. @throws {ListenError} */
export async function listening<T>(key: ListenKey, open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    throw listenError(key, error)
  }
}

/** libp2p's own words hold stacks and advice for programmers; what it could not do is in them. */
export function ipfsListenError(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== 'IpfsSettingError') return error
  const [, code = '', where = ''] = /\blisten (E[A-Z]+): [^\n]*? (\S+:\d+)\n/.exec(error.message) ?? []
  const reason = reasons[code]
  return reason === undefined ? error : new ListenError('ipfs.listen', where, reason, { cause: error })
}

function property(error: unknown, name: string): unknown {
  return error instanceof Error ? Object.getOwnPropertyDescriptor(error, name)?.value : undefined
}

function whereOf(error: unknown): string {
  const address = String(property(error, 'address') ?? property(error, 'hostname') ?? '')
  const port = property(error, 'port')
  if (port === undefined || port === -1) return address
  return address.includes(':') ? `[${address}]:${String(port)}` : `${address}:${String(port)}`
}
