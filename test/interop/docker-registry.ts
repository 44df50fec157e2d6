import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Daemon, startDaemon } from './daemon.ts'

export interface DockerRegistryOptions {
  /** Debian's `docker-registry` (distribution 2.8, the default) or `registry` (distribution 3, built from source). */
  program?: 'docker-registry' | 'registry'
  signal?: AbortSignal
}

/** A distribution registry of its own, on loopback, with its data in a temporary folder. */
export interface DockerRegistry {
  pid: number
  /** `127.0.0.1:<port>`. */
  host: string
  /** `http://127.0.0.1:<port>`. */
  url: string
  logs(): string
  /** Stops it and removes its data. Idempotent. */
  close(): Promise<void>
}

/** Starts the reference registry. Rejects, with nothing left behind, when it fails. */
export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-registry-'))
  const file = join(folder, 'config.yml')
  const config = {
    version: 0.1,
    log: { level: 'info' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: '127.0.0.1:0' }
  }
  let daemon: Daemon | undefined
  const close = async (): Promise<void> => {
    await daemon?.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await writeFile(file, JSON.stringify(config))
    daemon = await startDaemon(options.program ?? 'docker-registry', ['serve', file], {
      ready: /listening on 127\.0\.0\.1:\d+/,
      // Version 3 would send its traces to a collector on this machine, and complain that there is none.
      env: { OTEL_TRACES_EXPORTER: 'none' },
      ...(options.signal && { signal: options.signal })
    })
    const host = /127\.0\.0\.1:\d+/.exec(daemon.readyLine)?.[0]
    if (host === undefined) throw new Error(`where does it listen? ${daemon.readyLine}`)
    return { pid: daemon.pid, host, url: `http://${host}`, logs: daemon.logs, close }
  } catch (cause) {
    await close()
    throw cause
  }
}
