import { createServer } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { type IpfsSetting, IpfsSettingError } from '../setting-error.ts'
import { tcpAddress } from '../tcp-address.ts'

const loopback = '127.0.0.1'
const wellKnownPort = 4001

/**
 * Where to listen: as configured, else loopback port 4001, the swarm port everyone knows, or any free one where another
 * IPFS node has it.
 */
export async function listenAddresses(configured: readonly string[] | undefined): Promise<string[]> {
  if (configured !== undefined) return checkedListen(configured)
  const port = (await isFree(wellKnownPort)) ? wellKnownPort : 0
  return [`/ip4/${loopback}/tcp/${port}`]
}

/**
 * The same addresses, each proven to be one that this node can listen on, as far as its form tells.
 *
 * @throws {IpfsSettingError} `ipfs.listen`
 */
export function checkedListen(addresses: readonly string[]): string[] {
  for (const address of checked('ipfs.listen', addresses)) {
    if (tcpAddress(address) !== undefined || address.startsWith('/unix/')) continue
    const message = `"${address}" is not plain TCP, which is all that peers are listened for by; write one such as /ip4/127.0.0.1/tcp/4001`
    throw new IpfsSettingError('ipfs.listen', message)
  }
  return [...addresses]
}

/**
 * The same addresses, each proven to be a multiaddr.
 *
 * @throws {IpfsSettingError}
 */
export function checked(setting: IpfsSetting, addresses: readonly string[]): string[] {
  for (const address of addresses) {
    try {
      multiaddr(address)
    } catch (cause) {
      throw new IpfsSettingError(setting, `"${address}" is not a multiaddr such as /ip4/127.0.0.1/tcp/4001`, { cause })
    }
  }
  return [...addresses]
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen({ host: loopback, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
