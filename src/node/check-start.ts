import { join } from 'node:path'
import { type Config, ConfigError, type ListenAddress, Unjudged } from '../config.ts'
import { checkDataFolder } from '../data-folder.ts'
import type { Log } from '../registry/ports.ts'
import { checkLayout } from '../storage/layout.ts'
import { checkAudit } from './audit.ts'
import { listenersOf, TrialListeners } from './listeners.ts'
import { otherRegistry } from './other-registry.ts'
import { ipfsFolder } from './start-peer.ts'

export interface StartCheckInit {
  /** Whether the node of this data folder, which runs, has an address already. Default: none does. */
  isHeld?: (address: ListenAddress) => boolean
}

export interface StartCheck {
  /** Why the node would not start, in the sentences that it would end with. */
  problems: readonly string[]
  /** What it would warn of. */
  warnings: readonly string[]
  /** `undefined` where it is not known which it is, or it cannot be used. */
  dataFolder: { path: string; exists: boolean } | undefined
}

/** Errors that tell an operator what to mend, by name: importing their classes would load LevelDB and libp2p. */
const expected: ReadonlySet<string> = new Set([
  'DataFolderUnusable',
  'LayoutError',
  'ListenError',
  'IpfsSettingError',
  'KeyFormatError'
])

/**
 * Everything that the start of a node would be refused for, found by the code that the start itself runs; changes nothing, and
 * leaves nothing open.
 *
 * @param config may have values that throw {@link Unjudged} when they are read: what asks them is left out
 */
export async function checkStart(config: Config, init: StartCheckInit = {}): Promise<StartCheck> {
  const check = new Check()
  let dataFolder: StartCheck['dataFolder']
  await check.run(async () => {
    dataFolder = await checkDataFolder(config.storage.filesystem.rootdirectory)
  })
  // What is kept below it by default is not judged where it cannot be used itself.
  const folder = dataFolder?.path
  if (folder !== undefined) await check.run(() => checkFolder(folder, check))
  await check.run(() => checkAudit(config.log.audit))
  await check.run(() => checkCredentials(config, check.log))
  await check.run(() => checkCertificates(config, folder, check.log))
  await check.run(() => checkListeners(config, init.isHeld ?? (() => false), check))
  await checkPeer(config, folder, check)
  return { problems: check.problems, warnings: check.warnings, dataFolder }
}

/** Collects what goes wrong. */
class Check {
  readonly problems: string[] = []
  readonly warnings: string[] = []
  readonly log: Log

  constructor() {
    const warn = (fields: object, message: string) => {
      const file = 'file' in fields ? `${String(fields.file)}: ` : ''
      this.warnings.push(`${file}${message}`)
    }
    this.log = { debug: () => {}, info: () => {}, warn, error: warn }
  }

  async run(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (error instanceof Unjudged) return
      if (error instanceof ConfigError) this.problems.push(...error.problems.map(({ message }) => message))
      else if (error instanceof Error && expected.has(error.name)) this.problems.push(error.message)
      else throw error
    }
  }
}

async function checkFolder(folder: string, check: Check): Promise<void> {
  const other = await otherRegistry(folder)
  if (other !== undefined) check.warnings.push(other)
  await checkLayout(folder)
}

async function checkCredentials(config: Config, log: Log): Promise<void> {
  const { openCredentialFiles } = await import('./credentials.ts')
  const files = await openCredentialFiles(config, { log })
  await files.close()
}

async function checkCertificates(config: Config, folder: string | undefined, log: Log): Promise<void> {
  const { tls } = config.http
  if (tls === undefined) return
  if (tls.letsencrypt !== undefined) {
    const { checkAcme } = await import('./acme.ts')
    return checkAcme(tls.letsencrypt, folder)
  }
  const [{ openTls }, { Closers }] = await Promise.all([import('./tls.ts'), import('./closers.ts')])
  const closers = new Closers()
  try {
    await openTls(config, { log, folder: folder ?? '' }, closers)
  } finally {
    await closers.close()
  }
}

async function checkListeners(
  config: Config,
  isHeld: (address: ListenAddress) => boolean,
  check: Check
): Promise<void> {
  const trial = new TrialListeners(isHeld)
  try {
    for (const group of listenersOf(config)) {
      await check.run(async () => {
        for (const read of group()) {
          await check.run(async () => {
            const listener = read()
            if (listener !== undefined) await trial.open(listener)
          })
        }
      })
    }
  } finally {
    await trial.close()
  }
}

/** The IPFS side: the key, and what libp2p is told. */
async function checkPeer(config: Config, folder: string | undefined, check: Check): Promise<void> {
  const { checkIpfs } = await import('../ipfs/check.ts')
  const settings = checkIpfs(
    {
      listen: () => config.ipfs.listen,
      announce: () => config.ipfs.announce,
      peers: () => config.ipfs.peers,
      keyFile: () => config.ipfs.key.file ?? (folder === undefined ? undefined : join(ipfsFolder(folder), 'key'))
    },
    check.log
  )
  for (const setting of settings) await check.run(setting)
}
