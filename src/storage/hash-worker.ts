/**
 * Entry of a hash worker: hashes slots of the shared ring, and re-reads staged files, off the main thread.
 *
 * @module
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { DigestAlgorithm } from '../oci/digest.ts'
import type { HashPrefix, HashReply, HashRequest, HashWorkerData } from './hash-protocol.ts'
import { slotSize } from './ring.ts'
import { RunningHash } from './running-hash.ts'

/** Bytes read and hashed before other messages get their turn. */
const slice = 1 << 20

function serve(port: MessagePort, { ring }: HashWorkerData): void {
  const streams = new Map<number, RunningHash>()
  const reads = new Set<number>()
  const reply = (message: HashReply): void => port.postMessage(message)

  port.on('message', (request: HashRequest) => {
    switch (request.type) {
      case 'open': {
        const hash = openStream(request.algorithm, request.prefix)
        if (hash !== undefined) streams.set(request.stream, hash)
        break
      }
      case 'update':
        streams.get(request.stream)?.update(Buffer.from(ring, request.slot * slotSize, request.length))
        reply({ type: 'updated' })
        break
      case 'mark':
        streams.get(request.stream)?.mark()
        break
      case 'rewind':
        streams.get(request.stream)?.rewind()
        break
      case 'content':
        reply({ type: 'content', request: request.request, content: streams.get(request.stream)?.content() })
        break
      case 'drop':
        streams.delete(request.stream)
        break
      case 'read':
        reads.add(request.request)
        void readFile(request, reads, reply)
        break
      case 'cancel':
        reads.delete(request.request)
        break
    }
  })
}

/** `undefined` when the prefix cannot be read back whole: the staged file will be read again at the end. */
function openStream(algorithm: DigestAlgorithm, prefix: HashPrefix | undefined): RunningHash | undefined {
  const hash = new RunningHash(algorithm)
  if (prefix === undefined || prefix.length === 0) return hash
  const buffer = Buffer.allocUnsafe(prefix.length)
  try {
    const fd = openSync(prefix.path, 'r')
    try {
      if (!readExactly(fd, buffer, 0)) return undefined
    } finally {
      closeSync(fd)
    }
  } catch {
    return undefined
  }
  hash.update(buffer.subarray(0, prefix.mark))
  hash.mark()
  hash.update(buffer.subarray(prefix.mark))
  return hash
}

async function readFile(
  { request, path, size, algorithm }: HashRequest & { type: 'read' },
  active: Set<number>,
  reply: (message: HashReply) => void
): Promise<void> {
  try {
    const hash = new RunningHash(algorithm)
    const buffer = Buffer.allocUnsafe(Math.min(size, slice))
    const fd = openSync(path, 'r')
    try {
      while (hash.size < size) {
        await new Promise(resolve => setImmediate(resolve))
        if (!active.has(request)) return
        const part = buffer.subarray(0, Math.min(slice, size - hash.size))
        if (!readExactly(fd, part, hash.size)) throw new Error(`${path} ends before ${size} bytes`)
        hash.update(part)
      }
    } finally {
      closeSync(fd)
    }
    reply({ type: 'content', request, content: hash.content() })
  } catch (error) {
    reply({ type: 'failed', request, error: describe(error) })
  } finally {
    active.delete(request)
  }
}

function readExactly(fd: number, buffer: Buffer, position: number): boolean {
  for (let done = 0; done < buffer.length; ) {
    const read = readSync(fd, buffer, done, buffer.length - done, position + done)
    if (read === 0) return false
    done += read
  }
  return true
}

/** Structured clone keeps an error's message but drops its `code`. */
function describe(error: unknown): { message: string; code: string | undefined } {
  if (!(error instanceof Error)) return { message: String(error), code: undefined }
  return { message: error.message, code: 'code' in error && typeof error.code === 'string' ? error.code : undefined }
}

if (parentPort !== null) serve(parentPort, workerData)
