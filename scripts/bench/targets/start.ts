import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findTool } from '../../../test/interop/find.ts'
import { answers } from './answers.ts'
import { startDistribution } from './distribution.ts'
import { startOlareg } from './olareg.ts'
import { type PinnaceTarget, startOurs } from './pinnace.ts'
import type { Certificate, Target, TargetInit } from './target.ts'

export interface TargetsInit {
  folder: string
  tls: Certificate | undefined
  /** Registries that run already, by name. */
  peers: Readonly<Record<string, string>>
  signal: AbortSignal
}

export interface Targets {
  ours: PinnaceTarget
  /** Ours first. */
  all: Target[]
  /** Peers that are not installed here. */
  missing: string[]
  close(): Promise<void>
}

const peers: { name: string; program: 'registry' | 'docker-registry' | 'olareg' }[] = [
  { name: 'distribution', program: 'registry' },
  { name: 'olareg', program: 'olareg' },
  { name: 'docker-registry', program: 'docker-registry' }
]

/** Starts this node and every peer there is. Rejects, with nothing left running, when one of them fails. */
export async function startTargets(init: TargetsInit): Promise<Targets> {
  const all: Target[] = []
  const close = async (): Promise<void> => {
    await Promise.all(all.map(target => target.close()))
  }
  const own = async (name: string): Promise<TargetInit> => {
    const folder = join(init.folder, name)
    await mkdir(folder, { recursive: true })
    return { folder, tls: init.tls, signal: init.signal }
  }
  try {
    const ours = await startOurs(await own('pinnace'))
    all.push(ours)
    const missing: string[] = []
    for (const { name, program } of peers) {
      if (findTool(program) === undefined) missing.push(name)
      else if (program === 'olareg') all.push(await startOlareg(await own(name)))
      else all.push(await startDistribution(name, program, await own(name)))
    }
    for (const [name, origin] of Object.entries(init.peers)) {
      if (!(await answers(origin))) throw new Error(`${name} at ${origin} does not answer /v2/ with 200`)
      all.push({ name, origin, close: async () => {} })
    }
    return { ours, all, missing, close }
  } catch (cause) {
    await close()
    throw cause
  }
}
