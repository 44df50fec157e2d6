import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { asksWho } from '../config/exposure.ts'
import type { Config } from '../config.ts'
import { DataFolderLocked, findHolder, requireDataFolder } from '../data-folder.ts'
import { auditedOperations } from './audited-operations.ts'
import { localOperations } from './local-operations.ts'
import { createLog } from './log.ts'
import type { Operations } from './operations.ts'
import { registryHost } from './registry-host.ts'
import { remoteHost } from './remote-host.ts'
import { remoteOperations } from './remote-operations.ts'
import { readSettings } from './settings.ts'
import type { Shell } from './shell.ts'
import { SocketTransport } from './socket-transport.ts'

/** How long a node that is starting or going away is waited for, ms. */
const patience = 10_000
const pause = 100

/**
 * The node that the command line names: elsewhere, by its admin API; or that of a data folder, asked over its socket when
 * it runs, opened here when nobody has it.
 *
 * @throws {NoDataFolder}
 * @throws {DataFolderUnusable} when this user may not read it, or should not write it
 * @throws {DataFolderLocked} when a process has it that cannot be asked
 */
export async function connect(shell: Shell): Promise<Operations> {
  const host = await remoteHost(shell, process.env)
  if (host !== undefined) {
    const { HttpTransport } = await import('./http-transport.ts')
    return remoteOperations(new HttpTransport(host), { signal: shell.signal, registryHost: host.url.host })
  }
  const { config } = await readSettings(shell)
  const folder = resolve(config.storage.filesystem.rootdirectory)
  await requireDataFolder(folder)
  const giveUp = Date.now() + patience
  for (;;) {
    const operations = (await ask(folder, config)) ?? (await open(config, shell))
    if (operations instanceof DataFolderLocked) {
      // A node that starts has the folder before it has its socket; any other command keeps it to itself.
      const { holder, because } = operations
      if (holder.command !== 'serve' || because === 'silent' || because === 'machine') throw operations
      if (Date.now() > giveUp) throw operations
      await sleep(pause, undefined, { signal: shell.signal })
    } else return operations
  }
}

/** The running node; `undefined` when there is none to ask (yet). */
async function ask(folder: string, config: Config): Promise<Operations | undefined> {
  const socket = (await findHolder(folder))?.controlSocket
  if (socket === undefined) return undefined
  return remoteOperations(new SocketTransport(socket), { registryHost: await registryHost(config) })
}

async function open(config: Config, shell: Shell): Promise<Operations | DataFolderLocked> {
  const { openNode } = await import('../node.ts')
  const log = createLog({ ...config.log, formatter: 'text', level: 'warn' }, shell.terminal.err)
  try {
    const node = await openNode(config, { log, command: shell.command })
    const operations = localOperations(node, {
      registryHost: await registryHost(config),
      authenticating: asksWho(config)
    })
    return node.audit === undefined ? operations : auditedOperations(operations, node.audit)
  } catch (error) {
    if (error instanceof DataFolderLocked) return error
    throw error
  }
}
