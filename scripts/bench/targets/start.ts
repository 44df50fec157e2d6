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
  /** Another checkout of this project, started instead of other registries. */
  before?: string | undefined
  signal: AbortSignal
}

export interface Targets {
  /** This checkout's node, then the one of the version before, where that was asked for. */
  nodes: PinnaceTarget[]
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
    const nodes = [await startOurs(await own('pinnace'))]
    all.push(...nodes)
    if (init.before !== undefined) {
      const before = await startOurs(await own('before'), init.before)
      nodes.push(before)
      all.push(before)
    }
    const missing: string[] = []
    for (const { name, program } of init.before === undefined ? peers : []) {
      if (findTool(program) === undefined) missing.push(name)
      else if (program === 'olareg') all.push(await startOlareg(await own(name)))
      else all.push(await startDistribution(name, program, await own(name)))
    }
    for (const [name, origin] of Object.entries(init.peers)) {
      if (!(await answers(origin))) throw new Error(`${name} at ${origin} does not answer /v2/ with 200`)
      all.push({ name, origin, close: async () => {} })
    }
    return { nodes, all, missing, close }
  } catch (cause) {
    await close()
    throw cause
  }
}
