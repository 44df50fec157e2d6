import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'

/** Where figures were taken, for whoever reads them. */
export interface Machine {
  cpu: string
  cores: number
  /** GiB. */
  memory: number
  system: string
  node: string
  /** Of the last minute, when the run began: what else the machine was doing. */
  load: number
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    load: Number((loadavg()[0] ?? 0).toFixed(2))
  }
}
