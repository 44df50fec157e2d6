import { Type } from '@sinclair/typebox'
import { defaultSockets } from '../defaults.ts'
import { choice, count, duration, flag, list, path, section, size, sizeOrShare } from '../fields.ts'

const multiaddr = Type.String({
  format: 'multiaddr',
  noun: 'a multiaddr',
  write: 'one such as /ip4/127.0.0.1/tcp/4001'
})

const limits = section('What the node takes on at once. Memory is bounded by these, never by the size of a blob.', {
  sockets: count({
    minimum: 1,
    maximum: 1_000_000,
    default: defaultSockets,
    description: 'HTTP connections; requests on more get 429 with `Retry-After`.'
  }),
  uploads: count({
    minimum: 1,
    maximum: 100_000,
    default: 256,
    description: 'Request bodies being read at once; more wait up to 15 s, then get 429 with `Retry-After`.'
  }),
  hashing: count({
    minimum: 1,
    maximum: 256,
    description: 'Threads that hash what is pushed; uploads share them.',
    defaultNote: 'one less than there are cores, at least 1'
  }),
  client: section(
    'What one client may take of that: whoever signed in, else an address (IPv6: a /64 network). This machine itself is not bounded. More gets 429 with `Retry-After`; 0 is no limit.',
    {
      rate: count({ minimum: 0, maximum: 1_000_000, default: 0, description: 'Requests a second in the long run.' }),
      burst: count({
        minimum: 1,
        maximum: 1_000_000,
        default: 1000,
        description: 'Requests that may come at once before `rate` counts.'
      }),
      connections: count({
        minimum: 0,
        maximum: 1_000_000,
        description: 'Connections of one address or /64 network; proxies of `http.trustproxy` have no such limit.',
        defaultNote: 'half of `ipfs.limits.sockets`'
      }),
      requests: count({
        minimum: 0,
        maximum: 1_000_000,
        default: 1024,
        description: 'Requests being answered at once.'
      }),
      uploads: count({
        minimum: 0,
        maximum: 100_000,
        default: 128,
        description: 'Request bodies being read at once; more wait up to 15 s first.'
      })
    }
  ),
  manifest: size({ default: '4MiB', description: 'Largest manifest, at most 4 MiB; a larger one gets 413.' })
})

/** Keys that distribution does not have. */
export const ipfs = section('Pinnace’s own settings.', {
  listen: Type.Optional(
    list(multiaddr, {
      description: 'Where IPFS peers can connect. `[]` listens nowhere.',
      defaultNote: '`/ip4/127.0.0.1/tcp/4001`; any free port where that one is taken'
    })
  ),
  announce: list(multiaddr, {
    default: [],
    description: 'Addresses told to peers instead of those listened on, e.g. behind NAT or in a container.'
  }),
  peers: list(multiaddr, {
    default: [],
    description: 'Peers to stay connected to, each with its `/p2p/<peer ID>`. The node dials nobody else.'
  }),
  key: section('The identity of the node.', {
    file: Type.Optional(
      path({
        description: 'File with the libp2p private key; made at the first start.',
        defaultNote: 'in the data folder'
      })
    )
  }),
  gc: section('Removal of blobs and manifests that nothing references.', {
    interval: duration({ default: '24h', description: 'Time between two rounds; `0s` leaves it to `pinnace gc`.' }),
    grace: duration({ default: '24h', description: 'How long what was pushed or mounted is spared.' }),
    untagged: duration({
      default: '0s',
      description:
        'How long a manifest is kept that no tag, image index or subject leads to: since it lost its last tag, was pulled by digest (seen once a day) or was pushed by digest, whichever came last. `0s` keeps it for ever, as distribution does, because people deploy by digest.'
    }),
    deleteuntagged: Type.Optional(
      flag({
        description: 'Deprecated: `true` is `ipfs.gc.untagged` with the value of `ipfs.gc.grace`.',
        defaultNote: '`false`'
      })
    )
  }),
  scrub: section('Re-hashing of everything on disk.', {
    interval: duration({ default: '0s', description: 'Time between two rounds; `0s` leaves it to `pinnace scrub`.' })
  }),
  verify: section('Checks on the way out.', {
    reads: choice('choice', ['changed', 'always'], {
      default: 'changed',
      description:
        'Which pulls hash the blob while it is sent: of a file that is new or changed since it was last hashed, or every one.'
    })
  }),
  timeouts: section('How long a client may keep the node waiting. A body as a whole has no limit.', {
    headers: duration({ default: '30s', description: 'From the first byte of a request to the end of its headers.' }),
    stall: duration({
      default: '60s',
      description: 'Without a byte of a body; then 408, and the upload session is kept.'
    })
  }),
  reserve: Type.Optional(
    sizeOrShare({
      description:
        'What pushes leave of the file system of the data folder, a size or a share such as `5%`: deletions and garbage collection need some of it to give back more. 507 with `Retry-After` beyond; `0` lets pushes take everything.',
      defaultNote: '5 %, at most 1 GiB'
    })
  ),
  limits
})
