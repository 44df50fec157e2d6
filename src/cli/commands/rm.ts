import type { Digest } from '../../oci/digest.ts'
import { type ManifestReference, parseImageName, parseRepository } from '../../oci/reference.ts'
import type { RepositoryRemoval, StaysFor, TagRemovalPlan } from '../../registry/registry.ts'
import { confirm } from '../confirm.ts'
import { connect } from '../connect.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { CommandFailure, explain } from '../explain.ts'
import { type Operations, showReference } from '../operations.ts'
import { showPlatform } from '../platform.ts'
import type { Register } from '../program.ts'
import { startProgress } from '../progress.ts'
import type { Shell } from '../shell.ts'
import { count, paint, printable, showBytes } from '../terminal.ts'

interface RmArguments {
  yes?: boolean
  keep?: boolean
  all?: boolean
}

interface Image {
  repository: string
  reference: ManifestReference
  /** What the tag named when it was asked about. */
  digest?: Digest
}

const helpText = `
A tag is removed as "docker rmi" does it: with the last tag goes the manifest, when
no image index names it and it is not the referrer of a manifest that stays; with an
index go its children that nothing else names, and with each of them its referrers
(signatures, SBOMs). Other tags, indexes and their children stay. --keep removes the
tag alone. By digest it is that manifest and every tag of it, and nothing else.
The bytes of layers are freed by "pinnace gc".

Examples:
  pinnace rm app:v1 app:v2
  pinnace rm app:v1 --keep
  pinnace rm app@sha256:… --yes
  pinnace rm team/app --all`

export const registerRm: Register = (program, shellFor, done) => {
  program
    .command('rm')
    .argument('<name[:tag|@digest]...>', 'images of this node; without tag, latest')
    .description('remove tags, and manifests that nothing else leads to. gc frees the bytes')
    .option('--keep', 'remove the tag and keep its manifest')
    .option('--all', 'remove whole repositories, with every tag and manifest')
    .option('--yes', 'do not ask')
    .addHelpText('after', helpText)
    .action(async (names: string[], options: RmArguments, command) => {
      const { keep, all } = options
      if (keep && all) throw new CommandFailure(exitCodes.usage, '--all keeps no manifest: leave out --keep')
      const shell = shellFor(command)
      done(all ? await removeRepositories(shell, names, options) : await removeImages(shell, names, options))
    })
}

async function removeImages(shell: Shell, names: readonly string[], options: RmArguments): Promise<ExitCode> {
  const images: Image[] = names.map(parseImageName)
  if (!options.yes) demandPerson(shell)
  await using operations = await connect(shell)
  if (!options.yes && !(await agreed(shell, operations, images, options))) return exitCodes.failure
  return await each(
    shell,
    images,
    ({ repository, reference }) => showReference(repository, reference),
    image => removeImage(shell, operations, image, options)
  )
}

/** Before anything is asked of the node. @throws {CommandFailure} `usage` */
function demandPerson({ terminal }: Shell): void {
  if (!terminal.in.isTTY) throw new CommandFailure(exitCodes.usage, 'no terminal to ask on: pass --yes to remove')
}

/** Does one after the other; those behind a failure are still wanted gone. */
async function each<T>(
  shell: Shell,
  items: readonly T[],
  nameOf: (item: T) => string,
  work: (item: T) => Promise<string>
): Promise<ExitCode> {
  const { terminal } = shell
  let exitCode: ExitCode = exitCodes.ok
  for (const item of items) {
    shell.signal.throwIfAborted()
    try {
      terminal.out.write(`${await work(item)}\n`)
    } catch (error) {
      if (shell.signal.aborted) throw error
      const failed = explain(error)
      terminal.err.write(`${paint(terminal.err, 'red', 'pinnace:')} ${nameOf(item)}: ${failed.message}\n`)
      exitCode = failed.exitCode
    }
  }
  return exitCode
}

async function removeImage(
  { signal }: Shell,
  operations: Operations,
  { repository, reference, digest }: Image,
  { keep }: RmArguments
): Promise<string> {
  const shown = showReference(repository, reference)
  if (keep || 'digest' in reference) {
    await operations.remove(repository, reference, { signal })
    return `removed ${shown}`
  }
  const { manifests, stays } = await operations.removeTag(repository, reference.tag, {
    signal,
    ...(digest && { digest })
  })
  if (manifests > 0) return `removed ${shown} and ${count(manifests, 'manifest')}`
  return `removed ${shown}${stays === undefined ? '' : `; its manifest stays: ${why(repository, stays)}`}`
}

/** Names what goes and what stays, then asks. */
async function agreed(
  shell: Shell,
  operations: Operations,
  images: readonly Image[],
  { keep }: RmArguments
): Promise<boolean> {
  const shown = images.map(({ repository, reference }) => showReference(repository, reference)).join(', ')
  let manifests = 0
  if (!keep) {
    for (const [repository, tagged] of byRepository(images)) {
      const tags = tagged.map(({ tag }) => tag)
      const plan = await operations.planTagRemoval(repository, tags, { signal: shell.signal })
      for (const { image, tag } of tagged) {
        const digest = plan.tags.find(planned => planned.tag === tag)?.digest
        if (digest !== undefined) image.digest = digest
      }
      shell.terminal.err.write(describePlan(repository, plan))
      manifests += plan.count
    }
  }
  const more = manifests === 0 ? '' : ` and ${count(manifests, 'manifest')}`
  return confirm(shell, `Remove ${shown}${more}?`, 'to remove')
}

function byRepository(images: readonly Image[]): Map<string, { image: Image; tag: string }[]> {
  const groups = new Map<string, { image: Image; tag: string }[]>()
  for (const image of images) {
    if (!('tag' in image.reference)) continue
    groups.set(image.repository, [...(groups.get(image.repository) ?? []), { image, tag: image.reference.tag }])
  }
  return groups
}

function describePlan(repository: string, { tags, manifests, count: all, atLeast }: TagRemovalPlan): string {
  const lines: string[] = []
  for (const { tag, digest, stays } of tags) {
    if (digest === undefined) lines.push(`${repository}:${tag} is not here`)
    else if (stays !== undefined) lines.push(`${repository}@${digest} stays: ${why(repository, stays)}`)
  }
  for (const { digest, size, mediaType, platform } of manifests)
    lines.push(
      `${repository}@${digest} goes: ${showBytes(size)}, ${platform === undefined ? printable(mediaType) : printable(showPlatform(platform))}`
    )
  if (all > manifests.length) lines.push(`and ${count(all - manifests.length, 'manifest')} more`)
  if (atLeast) lines.push('and more than can be counted here')
  return lines.map(line => `${line}\n`).join('')
}

function why(repository: string, stays: StaysFor): string {
  if ('tag' in stays) return `${repository}:${stays.tag} names it too`
  if ('index' in stays) return `the index ${stays.index} names it`
  return `it belongs to ${stays.subject}`
}

async function removeRepositories(shell: Shell, names: readonly string[], { yes }: RmArguments): Promise<ExitCode> {
  const repositories = names.map(parseRepository)
  if (!yes) demandPerson(shell)
  await using operations = await connect(shell)
  const { signal } = shell
  if (!yes) {
    for (const name of repositories) {
      const { tags, manifests, bytes } = await operations.planRepositoryRemoval(name, { signal })
      shell.terminal.err.write(`${name}: ${count(tags, 'tag')}, ${count(manifests, 'manifest')}, ${showBytes(bytes)}\n`)
    }
    const question = `Remove everything in ${repositories.join(', ')}?`
    if (!(await confirm(shell, question, 'to remove'))) return exitCodes.failure
  }
  return await each(
    shell,
    repositories,
    name => name,
    name => removeRepository(shell, operations, name)
  )
}

async function removeRepository({ terminal, signal }: Shell, operations: Operations, name: string): Promise<string> {
  const progress = startProgress(terminal.err, `Removing ${name}`)
  try {
    const onProgress = (done: Readonly<RepositoryRemoval>) => progress.update(describeRemoval(done))
    return `removed ${name}: ${describeRemoval(await operations.removeRepository(name, { signal, onProgress }))}`
  } finally {
    progress.stop()
  }
}

function describeRemoval({ tags, manifests, links }: Readonly<RepositoryRemoval>): string {
  return `${count(tags, 'tag')}, ${count(manifests, 'manifest')}, ${count(links, 'blob')}`
}
