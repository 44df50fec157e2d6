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
import { paint, printable, showAge, showBytes } from '../terminal.ts'

interface LsArguments {
  untagged?: boolean
  json?: boolean
}

export const registerLs: Register = (program, shellFor, done) => {
  program
    .command('ls')
    .argument('[repository]', 'list the tags of this repository')
    .description('list repositories, or the tags of one')
    .option('--untagged', 'list manifests that no tag, image index or subject leads to')
    .option(
      '--json',
      'one JSON object a line: {repository}, {repository, tag, digest, mediaType, size, imageCid?} or {repository, tag, lost: true}, with --untagged {repository, digest, mediaType, size, used?}'
    )
    .addHelpText(
      'after',
      '\nSizes count manifest, config and layers; of an image index those of all its platforms. The age of\nwhat is untagged counts from when it lost its last tag, or was pushed or pulled by digest.\n(incomplete): parts of the image are not on this node; inspect says which.\n\nExamples:\n  pinnace ls\n  pinnace ls library/alpine\n  pinnace ls library/alpine --json\n  pinnace ls --untagged'
    )
    .action(async (repository: string | undefined, options: LsArguments, command) => {
      await ls(shellFor(command), repository, options)
      done(exitCodes.ok)
    })
}

async function ls(shell: Shell, repository: string | undefined, options: LsArguments): Promise<void> {
  const name = repository === undefined ? undefined : parseRepository(repository)
  await warnOfOtherRegistry(shell)
  await using operations = await connect(shell)
  if (options.untagged) await listUntagged(shell, operations, name, options).catch(naming(name ?? 'this node'))
  else if (name === undefined) await listRepositories(shell, operations, options)
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

async function listRepositories(shell: Shell, operations: Operations, options: LsArguments) {
  const { terminal, signal } = shell
  let any = false
  for await (const repository of operations.repositories({ signal })) {
    any = true
    terminal.out.write(`${options.json ? JSON.stringify({ repository }) : printable(repository)}\n`)
  }
  if (!any) hint(shell, options, `nothing is here yet: docker push ${operations.registryHost ?? 'HOST:PORT'}/NAME`)
}

/** What a person is told where there is nothing to list; a program reads no lines, and that says it. */
function hint({ terminal }: Shell, { json }: LsArguments, text: string): void {
  if (!json) terminal.err.write(`${text}\n`)
}

/** Whole digests, each as a name that "pinnace rm" takes. */
async function listUntagged(shell: Shell, operations: Operations, name: string | undefined, options: LsArguments) {
  const { terminal, signal } = shell
  const table = new Table(terminal.out, [
    { title: 'MANIFEST' },
    { title: 'SIZE', align: 'right' },
    { title: 'UNUSED FOR' }
  ])
  const now = Date.now()
  let any = false
  for await (const untagged of operations.untagged({ signal, ...(name === undefined ? {} : { repository: name }) })) {
    any = true
    const { repository, digest, size, used } = untagged
    if (options.json) terminal.out.write(`${JSON.stringify(untagged)}\n`)
    else table.row(`${repository}@${digest}`, showBytes(size), used === undefined ? '(unknown)' : showAge(now - used))
  }
  if (any && !options.json) table.end()
  if (!any) hint(shell, options, 'a tag, an index or a subject leads to every manifest')
}

async function listTags(shell: Shell, operations: Operations, repository: string, options: LsArguments) {
  const { terminal, signal } = shell
  const table = new Table(terminal.out, [
    { title: 'TAG' },
    { title: 'DIGEST' },
    { title: 'SIZE', align: 'right' },
    { title: 'IMAGE CID' }
  ])
  let any = false
  for await (const tag of operations.tags(repository, { signal })) {
    any = true
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
  if (any && !options.json) table.end()
  if (!any) hint(shell, options, `${repository} has no tags; pinnace ls ${repository} --untagged lists its manifests`)
}

/** A tag whose manifest was lost, or deleted since it was listed, is no reason to stop listing. */
function lostManifest(error: unknown): undefined {
  if (error instanceof RegistryError && error.reason === 'MANIFEST_UNKNOWN') return undefined
  throw error
}
