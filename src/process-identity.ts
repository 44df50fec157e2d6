import { execFile } from 'node:child_process'
import { readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { promisify } from 'node:util'

/** A process as it can be recognised later, by another process and after pids were used again. */
export interface ProcessIdentity {
  pid: number
  /** Start of the process: clock ticks since boot on Linux, `ps`'s date elsewhere. Tells a reused pid from the old one. */
  start: string
  /** Linux: the boot the pid belongs to. */
  boot?: string
  /** Linux: the pid namespace the pid belongs to; a container has one of its own. */
  namespace?: string
  /** Linux: the name of the machine or container, which tells a machine that was started again from another one. */
  host?: string
}

/**
 * Whether the pid means something here. `here`: this boot and pid namespace; `container`: another pid namespace, or one
 * that is not known; `boot`: this machine before it was started again, or another machine.
 */
export type Origin = 'here' | 'container' | 'boot'

export async function identifySelf(): Promise<ProcessIdentity> {
  const [start, boot, namespace] = await Promise.all([startOf(process.pid), bootId(), pidNamespace()])
  return {
    pid: process.pid,
    start: start ?? '',
    ...(boot === undefined ? {} : { boot }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(boot === undefined ? {} : { host: hostname() })
  }
}

export async function originOf(identity: ProcessIdentity): Promise<Origin> {
  const [boot, namespace] = await Promise.all([bootId(), pidNamespace()])
  if (identity.boot !== undefined && boot !== undefined && identity.boot !== boot) return 'boot'
  // Undefined on both sides is a system without such names. On one side only it is a record of another kind of system.
  return identity.boot === boot && identity.namespace === namespace ? 'here' : 'container'
}

/** Whether a process of this boot and pid namespace lives. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const start = await startOf(identity.pid)
  return start === undefined ? isHidden(identity.pid) : start === identity.start
}

/** Whether another boot was another machine's. One that is not named is taken for this one, started again. */
export function isOtherMachine({ host }: ProcessIdentity): boolean {
  return host !== undefined && host !== hostname()
}

/** `undefined` when there is no such process, or only its zombie, which holds nothing any more. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return startByPs(pid)
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  if (stat === undefined) return undefined
  // The second field is the command in brackets and may itself hold spaces and brackets: count from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, start] = [fields[0], fields[19]]
  return state === 'Z' || state === 'X' ? undefined : start
}

async function startByPs(pid: number): Promise<string | undefined> {
  const ps = promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)], { timeout: 5_000 })
  const start = await ps.then(({ stdout }) => stdout.trim()).catch(() => '')
  return start === '' ? undefined : start
}

/** A process of another user that `/proc` hides (`hidepid`) still answers a signal with EPERM. */
function isHidden(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

async function bootId(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined
  const id = await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => undefined)
  return id?.trim()
}

async function pidNamespace(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined
  return readlink('/proc/self/ns/pid').catch(() => undefined)
}
