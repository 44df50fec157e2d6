import { resolve } from 'node:path'
import { RegistryError } from '../../errors.ts'
import { otherRegistry } from '../../node/other-registry.ts'
import { parseRepository } from '../../oci/reference.ts'
import { connect } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import { naming } from '../explain.ts'
import { imageSize } from '../image-size.ts'
import type { Operations } from '../operations.ts'
import type { Register } from '../program.ts'
import { namesRemote } from '../remote-host.ts'
import { readSettings } from '../settings.ts'
import type { Shell } from '../shell.ts'
import { Table } from '../table.ts'
import { paint, printable, showBytes } from '../terminal.ts'

export const registerLs: Register = (program, shellFor, done) => {
  program
    .command('ls')
    .argument('[repository]', 'list the tags of this repository')
    .description('list repositories, or the tags of one')
    .option(
      '--json',
      'one JSON object a line: {repository}, or {repository, tag, digest, mediaType, size, imageCid?}, or {repository, tag, lost: true}'
    )
    .addHelpText(
      'after',
      '\nSizes count manifest, config and layers; of an image index its manifests.\n(incomplete): parts of the image are not on this node; inspect says which.\n\nExamples:\n  pinnace ls\n  pinnace ls library/alpine\n  pinnace ls library/alpine --json'
    )
    .action(async (repository: string | undefined, options: { json?: boolean }, command) => {
      await ls(shellFor(command), repository, options)
      done(exitCodes.ok)
    })
}

async function ls(shell: Shell, repository: string | undefined, options: { json?: boolean }): Promise<void> {
  const name = repository === undefined ? undefined : parseRepository(repository)
  await warnOfOtherRegistry(shell)
  await using operations = await connect(shell)
  if (name === undefined) await listRepositories(shell, operations, options)
  else await listTags(shell, operations, name, options).catch(naming(name))
}

/** Who lists a volume that another registry wrote looks for its images. */
async function warnOfOtherRegistry(shell: Shell): Promise<void> {
  if (namesRemote(shell, process.env)) return
  const { config } = await readSettings(shell)
  const other = await otherRegistry(resolve(config.storage.filesystem.rootdirectory))
  const { err } = shell.terminal
  if (other !== undefined) err.write(`${paint(err, 'yellow', 'warning:')} ${other}\n`)
}

async function listRepositories({ terminal, signal }: Shell, operations: Operations, options: { json?: boolean }) {
  for await (const repository of operations.repositories({ signal })) {
    terminal.out.write(`${options.json ? JSON.stringify({ repository }) : printable(repository)}\n`)
  }
}

async function listTags(shell: Shell, operations: Operations, repository: string, options: { json?: boolean }) {
  const { terminal, signal } = shell
  const table = new Table(terminal.out, [
    { title: 'TAG' },
    { title: 'DIGEST' },
    { title: 'SIZE', align: 'right' },
    { title: 'IMAGE CID' }
  ])
  for await (const tag of operations.tags(repository, { signal })) {
    const image = await operations.inspect(repository, { tag }, { signal }).catch(lostManifest)
    if (image === undefined) {
      if (options.json) terminal.out.write(`${JSON.stringify({ repository, tag, lost: true })}\n`)
      else table.row(tag, '(lost)', '', '(incomplete)')
      continue
    }
    const { digest, mediaType, imageCid, ...rest } = image
    const size = imageSize(rest)
    if (options.json) {
      const line = { repository, tag, digest, mediaType, size, ...(imageCid === undefined ? {} : { imageCid }) }
      terminal.out.write(`${JSON.stringify(line)}\n`)
    } else table.row(tag, digest.slice(0, 19), showBytes(size), imageCid ?? '(incomplete)')
  }
  if (!options.json) table.end()
}

/** A tag whose manifest was lost, or deleted since it was listed, is no reason to stop listing. */
function lostManifest(error: unknown): undefined {
  if (error instanceof RegistryError && error.reason === 'MANIFEST_UNKNOWN') return undefined
  throw error
}
