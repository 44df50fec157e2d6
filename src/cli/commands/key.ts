import { InvalidArgumentError } from 'commander'
import type { AuditEntry } from '../../access/ports.ts'
import { ConfigError } from '../../config.ts'
import type { KeyFormat } from '../../ipfs/key-format.ts'
import type { NodeKey } from '../../ipfs/key-identity.ts'
import type { openAudit } from '../../node/audit.ts'
import { confirm } from '../confirm.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { CommandFailure } from '../explain.ts'
import { findKey, type KeyPlace } from '../key-place.ts'
import { createLog } from '../log.ts'
import type { Register } from '../program.ts'
import { readSecret } from '../read-secret.ts'
import type { Shell } from '../shell.ts'
import { writeSecret } from '../write-secret.ts'

const formats = {
  'libp2p-protobuf-cleartext': 'key',
  'pem-pkcs8-cleartext': 'pem'
} as const satisfies Record<KeyFormat, string>

export const registerKey: Register = (program, shellFor, done) => {
  const key = program
    .command('key')
    .description('export, import or replace the private key that is the node’s identity')
  key
    .command('export')
    .description('write the key to a file, in a form that "ipfs key import" reads')
    .option(
      '--out <file>',
      'file to write, mode 0600, never overwritten; - for standard output; default: <peer ID>.key'
    )
    .option('--format <format>', Object.keys(formats).join(' or '), readFormat, 'libp2p-protobuf-cleartext')
    .addHelpText(
      'after',
      '\nWhoever has the file can be this node.\n\nExamples:\n  pinnace key export --out node.key\n  pinnace key export --format pem-pkcs8-cleartext --out - | gpg --encrypt > node.pem.gpg'
    )
    .action(async (options: { out?: string; format: KeyFormat }, command) => {
      await exportKey(shellFor(command), options)
      done(exitCodes.ok)
    })
  key
    .command('import')
    .argument(
      '<file>',
      'a key as "pinnace key export" or "ipfs key export" writes it, in either form; - for standard input'
    )
    .description('give a stopped node another key, and with it another identity; the old one is kept beside')
    .option('--yes', 'do not ask when the peer ID changes')
    .addHelpText(
      'after',
      '\nExamples:\n  pinnace key import node.key\n  pinnace key import old.pem --yes --data /srv/pinnace'
    )
    .action(async (file: string, options: { yes?: boolean }, command) => {
      done(await importKey(shellFor(command), file, options))
    })
  key
    .command('rotate')
    .description('give a stopped node a new key, and with it a new identity; the old one is kept beside')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExamples:\n  pinnace key rotate\n  pinnace key rotate --yes --data /srv/pinnace')
    .action(async (options: { yes?: boolean }, command) => {
      done(await rotateKey(shellFor(command), options))
    })
}

async function exportKey(shell: Shell, { out, format }: { out?: string; format: KeyFormat }): Promise<void> {
  const place = await findKey(shell)
  const { file } = place
  const key = await readKeyAt(place)
  if (key === undefined) {
    const advice = 'a node makes its key at its first start; name its folder with --data or its file with --config'
    throw new CommandFailure(exitCodes.notFound, `there is no key ${file}: ${advice}`)
  }
  if (out === '-' && shell.terminal.out.isTTY) {
    throw new CommandFailure(exitCodes.usage, 'a key is not shown on a terminal: pipe it on, or name a file with --out')
  }
  const { audit, silence } = await openAuditBeside(shell, place)
  const target = out ?? `${key.peerId}.${formats[format]}`
  await told(audit, { action: 'export', reference: key.peerId }, () => writeOut(shell, target, key.encode(format)))
  const { err } = shell.terminal
  if (target !== '-') err.write(`That is the key of ${key.peerId}: whoever has it can be this node.\n`)
  if (silence !== undefined) err.write(`This export is no entry of the audit log: ${silence}\n`)
}

/** The key of a node that may be running. @throws {NoDataFolder} where the key would be in one */
async function readKeyAt({ folder, file, config }: KeyPlace): Promise<NodeKey | undefined> {
  const { explainAccess, requireDataFolder } = await import('../../data-folder.ts')
  if (config.ipfs.key.file === undefined) await requireDataFolder(folder)
  const { readNodeKey } = await import('../../ipfs/key-identity.ts')
  return readNodeKey(file).catch(async (error: unknown) => {
    throw await explainAccess(folder, error)
  })
}

async function writeOut({ terminal }: Shell, target: string, bytes: Uint8Array): Promise<void> {
  if (target === '-') {
    terminal.out.write(bytes)
    return
  }
  await writeSecret(target, bytes)
  terminal.out.write(`${target}\n`)
}

async function importKey(shell: Shell, from: string, { yes }: { yes?: boolean }): Promise<ExitCode> {
  const { parseKey } = await import('../../ipfs/key-identity.ts')
  const key = await parseKey(await readSecret(from, shell.terminal)).catch((cause: unknown) => {
    if (!(cause instanceof Error) || cause.name !== 'KeyFormatError') throw cause
    const shown = from === '-' ? 'standard input' : from
    throw new CommandFailure(exitCodes.usage, `${shown} is not a key for a node: ${cause.message}`, { cause })
  })
  return replaceKey(shell, key, { yes, create: true })
}

async function rotateKey(shell: Shell, { yes }: { yes?: boolean }): Promise<ExitCode> {
  const { newKey } = await import('../../ipfs/key-identity.ts')
  return replaceKey(shell, await newKey(), { yes, create: false })
}

interface ReplaceOptions {
  /** Whether nobody is asked. */
  yes: boolean | undefined
  /** Whether a data folder is made where there is none. */
  create: boolean
}

async function replaceKey(shell: Shell, key: NodeKey, { yes, create }: ReplaceOptions): Promise<ExitCode> {
  const place = await findKey(shell)
  await using _held = await takeFolder(shell, place, create)
  const old = await currentPeerId(place.file)
  const { out, err } = shell.terminal
  if (old === key.peerId) {
    out.write(`${key.peerId} is the key of this node already\n`)
    return exitCodes.ok
  }
  if (old !== undefined && !yes && !(await confirm(shell, question(old, key.peerId), 'to change the peer ID'))) {
    return exitCodes.failure
  }
  const about = { action: 'key', reference: key.peerId } as const
  const kept = await told(await openAuditOf(shell, place), about, () => key.putInto(place.file))
  out.write(`${old === undefined ? '' : `old peer ID  ${old}\n`}new peer ID  ${key.peerId}\n`)
  if (kept !== undefined) err.write(`${consequences(kept)}\n`)
  return exitCodes.ok
}

type Audit = Awaited<ReturnType<typeof openAudit>>

/** The audit log that the node would tell. @throws {ConfigError} when it cannot be written */
async function openAuditOf(shell: Shell, { config }: KeyPlace, size = config.log.audit.size): Promise<Audit> {
  const { openAudit } = await import('../../node/audit.ts')
  const log = createLog({ ...config.log, formatter: 'text', level: 'warn' }, shell.terminal.err)
  return openAudit({ ...config.log.audit, size }, log)
}

/**
 * The same, maybe beside a running node, to whom it is left to put the file aside. What cannot be written keeps no key from
 * being exported, as whoever exports it can read its file: `silence` says why.
 */
async function openAuditBeside(shell: Shell, place: KeyPlace): Promise<{ audit?: Audit; silence?: string }> {
  try {
    return { audit: await openAuditOf(shell, place, Number.MAX_SAFE_INTEGER) }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { silence: error.message }
  }
}

async function told<T>(
  audit: Audit,
  about: Pick<AuditEntry, 'action' | 'reference'>,
  work: () => Promise<T>
): Promise<T> {
  const entry = { subject: 'operator', ...about }
  try {
    const result = await work()
    audit?.record({ ...entry, outcome: 'allowed' })
    return result
  } catch (error) {
    audit?.record({ ...entry, outcome: 'failed' })
    throw error
  } finally {
    await audit?.close()
  }
}

function question(old: string, next: string): string {
  return `The node is ${old} and becomes ${next}; its friends know the old one. Go on?`
}

function consequences(kept: string): string {
  return `The old key is kept in ${kept}; to go back, import it.
From the next start on:
  whoever has this node in ipfs.peers, or dials its multiaddrs, has to name the new peer ID;
  rules about peer:<old peer ID> mean nobody;
  the IPNS name of the node is another one, and the old name is no longer renewed.`
}

/** A file that holds no key is no identity to lose; it is kept beside all the same. */
async function currentPeerId(file: string): Promise<string | undefined> {
  const { readNodeKey } = await import('../../ipfs/key-identity.ts')
  const key = await readNodeKey(file).catch((error: unknown) => {
    if (error instanceof Error && error.name === 'KeyFormatError') return undefined
    throw error
  })
  return key?.peerId
}

/** The data folder for this process alone: a running node has read its key and would go on with the old one. */
async function takeFolder(shell: Shell, { folder }: KeyPlace, create: boolean): Promise<AsyncDisposable> {
  const { DataFolderLocked, openDataFolder } = await import('../../data-folder.ts')
  const held = await openDataFolder(folder, { command: shell.command, create }).catch((cause: unknown) => {
    if (!(cause instanceof DataFolderLocked)) throw cause
    throw new CommandFailure(exitCodes.busy, `${cause.message}. A node reads its key when it starts`, { cause })
  })
  try {
    if (create) await makeLayout(folder)
  } catch (error) {
    await held.close()
    throw error
  }
  return { [Symbol.asyncDispose]: () => held.close() }
}

/** So that the folder is one of Pinnace from now on, for every command. */
async function makeLayout(folder: string): Promise<void> {
  const [{ openLayout }, { FolderSync }] = await Promise.all([
    import('../../storage/layout.ts'),
    import('../../storage/folder-sync.ts')
  ])
  await openLayout(folder, new FolderSync())
}

function readFormat(text: string): KeyFormat {
  if (Object.hasOwn(formats, text)) return text as KeyFormat
  throw new InvalidArgumentError(`It is ${Object.keys(formats).join(' or ')}.`)
}
