/**
 * The thread that Helia lives in. While a peer drains a blob by bitswap it encrypts and collects garbage without holding
 * up the requests of the main thread.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { CID } from 'multiformats/cid'
import type { Log } from '../../registry/ports.ts'
import type { Ipfs } from '../ipfs.ts'
import { startHelia } from '../node/start-helia.ts'
import type { FromThread, ThreadData, ToThread } from './messages.ts'
import { RemoteSource } from './remote-source.ts'
import { sentError } from './sent-error.ts'

const port = parentPort
if (port === null) throw new Error('this file is a worker')

const post = (message: FromThread): void => port.postMessage(message)
const logger =
  (level: keyof Log) =>
  (fields: object, message: string): void =>
    post({ type: 'log', level, fields, message })
const log: Log = { debug: logger('debug'), info: logger('info'), warn: logger('warn'), error: logger('error') }
const source = new RemoteSource((id, question) => post({ type: 'ask', id, question }))
const init: ThreadData = workerData
let ipfs: Promise<Ipfs> | undefined

port.on('message', (message: ToThread) => {
  if (message.type === 'answer') source.answered(message.id, message.value)
  if (message.type === 'error') source.failed(message.id, message.error)
  if (message.type === 'announce') void ipfs?.then(it => it.announce(CID.decode(message.cid)))
  if (message.type === 'stop') void stop()
})

async function stop(): Promise<void> {
  const started = await ipfs?.catch(() => undefined)
  await started?.stop()
  source.close()
  // Nothing else keeps the thread alive.
  port?.close()
}

function state(it: Ipfs) {
  return { multiaddrs: it.multiaddrs(), peers: it.peers() }
}

ipfs = startHelia(
  {
    source,
    log,
    onCorrupt: corrupt => {
      source.forget(corrupt.home)
      post({ type: 'corrupt', corrupt })
    },
    onChange: it => post({ type: 'state', state: state(it) })
  },
  init
)
ipfs
  .then(it => post({ type: 'ready', peerId: it.peerId, state: state(it) }))
  .catch((error: unknown) => {
    post({ type: 'failed', error: sentError(error) })
    source.close()
    port.close()
  })
