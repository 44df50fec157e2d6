/**
 * Entry of the load generator's process: a client on the event loop of what it measures, or of what starts it, would
 * measure itself.
 *
 * @module
 */
import { Content } from './content.ts'
import { pushImage } from './image.ts'
import type { Job, Reply } from './jobs.ts'
import { pullBlob } from './pull.ts'
import { pushBlobs } from './push.ts'
import { loadRequests } from './requests.ts'

const stops = new Map<number, AbortController>()

async function run(job: Job, stop: AbortSignal): Promise<Reply['result']> {
  switch (job.type) {
    case 'push': {
      const { origin, repository, blobs, form, connections } = job
      const contents = blobs.map(({ seed, size }) => new Content(seed, size))
      const seconds = await pushBlobs(origin, repository, contents, form, connections)
      return { seconds, digests: contents.map(content => content.digest) }
    }
    case 'pull':
      return { seconds: await pullBlob(job), digests: [job.digest] }
    case 'image':
      return { seconds: 0, digests: [await pushImage(job.origin, job.repository, job.tag)] }
    case 'requests':
      return loadRequests(job, stop)
  }
}

process.on('message', async (message: { id: number; job?: Job }) => {
  const { id, job } = message
  if (job === undefined) {
    stops.get(id)?.abort()
    return
  }
  const stop = new AbortController()
  stops.set(id, stop)
  const before = process.cpuUsage()
  const start = performance.now()
  const reply: Reply = { id }
  try {
    reply.result = await run(job, stop.signal)
  } catch (error) {
    reply.error = error instanceof Error ? error.message : String(error)
  }
  stops.delete(id)
  const { user, system } = process.cpuUsage(before)
  reply.busy = (user + system) / 1000 / (performance.now() - start)
  process.send?.(reply)
})
process.on('disconnect', () => process.exit())
// A Ctrl-C reaches the whole group; the parent decides.
process.on('SIGINT', () => undefined)
