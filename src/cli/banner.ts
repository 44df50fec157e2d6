import type { Config } from '../config.ts'
import type { Identity } from '../node.ts'
import type { Log } from '../registry/ports.ts'
import { type Output, paint } from './terminal.ts'

/** What a person who starts a node is told. Where the log is JSON and nobody watches, the
 * same stands in the log. */
export interface Banner {
  listening(version: string, addresses: readonly string[], dataFolder: string): void
  reachable(identity: Identity): void
  /** @param drainTimeout ms */
  stopping(drainTimeout: number): void
  stopped(): void
}

export function openBanner(out: Output, log: Log, config: Config): Banner {
  if (!out.isTTY && config.log.formatter !== 'text') {
    return loggedBanner(log)
  }
  const fact = (name: string, value: string) => out.write(`  ${paint(out, 'dim', name.padEnd(11))}${value}\n`)
  return {
    listening(version, addresses, dataFolder) {
      out.write(`${paint(out, 'bold', `Pinnace ${version}`)}\n`)
      for (const address of addresses) fact('Registry', address)
      fact('Data', dataFolder)
      const host = pushHost(addresses)
      if (host !== undefined) fact('Push', `docker tag IMAGE ${host}/IMAGE && docker push ${host}/IMAGE`)
      if (out.isTTY) fact('Stop', 'Ctrl-C')
    },
    reachable({ peerId, multiaddrs }) {
      fact('Peer ID', peerId)
      for (const address of multiaddrs) fact('Multiaddr', address)
    },
    stopping(drainTimeout) {
      const seconds = Math.ceil(drainTimeout / 1000)
      out.write(`Stopping: requests under way have ${seconds} s to finish. Once more ends at once.\n`)
    },
    stopped() {
      out.write('Stopped.\n')
    }
  }
}

function loggedBanner(log: Log): Banner {
  return {
    listening: (version, addresses, dataFolder) => log.info({ version, addresses, dataFolder }, 'listening'),
    reachable: ({ peerId, multiaddrs }) => log.info({ peerId, multiaddrs }, 'reachable by IPFS'),
    stopping: drainTimeout => log.info({ drainTimeout }, 'stopping'),
    stopped: () => log.info({}, 'stopped')
  }
}

/**
 * The name to push to. Docker speaks plain HTTP to `localhost` and loopback addresses without being told, so that is
 * what stands here whenever the node listens there. None for a unix socket.
 */
function pushHost(addresses: readonly string[]): string | undefined {
  const hosts = addresses.filter(address => address.startsWith('http')).map(address => new URL(address))
  const local = hosts.find(({ hostname }) => /^(127\.|\[::1\]|localhost$|0\.0\.0\.0$|\[::\])/.test(hostname))
  if (local !== undefined) return `localhost:${local.port || (local.protocol === 'https:' ? '443' : '80')}`
  return hosts[0]?.host
}
