import type { Config } from '../config/schema.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'

const reasons: Record<string, string> = {
  EADDRINUSE: 'another program has it; stop that, or choose another address',
  EACCES: `user ${process.getuid?.() ?? ''} may not (ports below 1024 are for root); choose another address`,
  EADDRNOTAVAIL: 'this machine has no such address; choose another',
  ENOTFOUND: 'there is no such host name; choose another address'
}

/** The error of a listener that could not start, as a sentence with address and configuration key; any other error as it is. */
export function explainListen(error: unknown, config: Config): unknown {
  if (error instanceof Error && error.name === 'IpfsSettingError') return explainIpfs(error)
  const code = property(error, 'code')
  const syscall = property(error, 'syscall')
  if (typeof code !== 'string' || !['listen', 'bind', 'getaddrinfo'].includes(String(syscall))) return error
  const where = whereOf(error)
  const key =
    where === config.http.debug.addr || samePort(where, config.http.debug.addr) ? 'http.debug.addr' : 'http.addr'
  const variable = `REGISTRY_${key.replaceAll('.', '_').toUpperCase()}`
  const reason = reasons[code] ?? `${String(property(error, 'message'))}; choose another address`
  return new CommandFailure(exitCodes.failure, `cannot listen on ${where}: ${reason} with ${key} or ${variable}`, {
    cause: error
  })
}

/** libp2p's own words hold stacks and advice for programmers; what it could not do is in them. */
function explainIpfs(error: Error): Error {
  const [, code = '', where = ''] = /\blisten (E[A-Z]+): [^\n]*? (\S+:\d+)\n/.exec(error.message) ?? []
  const reason = reasons[code]
  if (reason === undefined) return error
  const message = `IPFS cannot listen on ${where}: ${reason} with ipfs.listen or REGISTRY_IPFS_LISTEN`
  return new CommandFailure(exitCodes.failure, message, { cause: error })
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

function samePort(where: string, address: string | undefined): boolean {
  const port = /:(\d+)$/.exec(where)?.[1]
  return port !== undefined && (address ?? '').endsWith(`:${port}`)
}
