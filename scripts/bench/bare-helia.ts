/**
 * Helia with the libp2p modules that a node uses and empty stores, listening on loopback: what the IPFS side of any
 * program costs before it does anything.
 *
 * @module
 */
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { createHeliaLight } from 'helia'

const helia = withBitswap(
  withLibp2pLight(createHeliaLight(), {
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [tls(), noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() }
  })
)
await helia.start()
console.log(`listening on ${helia.libp2p.getMultiaddrs().join(', ')}`)
process.once('SIGTERM', async () => {
  await helia.stop()
  process.exit()
})
