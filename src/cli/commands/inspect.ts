import { parseImageName } from '../../oci/reference.ts'
import type { Inspection } from '../../registry/registry.ts'
import { connect } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import { naming } from '../explain.ts'
import { showReference } from '../operations.ts'
import { showPlatform } from '../platform.ts'
import type { Register } from '../program.ts'
import type { Shell } from '../shell.ts'
import { Table } from '../table.ts'
import { count, type Output, paint, printable, showBytes } from '../terminal.ts'

export const registerInspect: Register = (program, shellFor, done) => {
  program
    .command('inspect')
    .argument('<name[:tag|@digest]>', 'an image of this node; without tag, latest')
    .description('show manifest, config and layers with digest, size and CID, and the image CID')
    .option(
      '--json',
      'one JSON object: repository, tag?, digest, mediaType, size, cid, imageCid?, manifest, config?, layers, manifests, subject?'
    )
    .addHelpText(
      'after',
      '\nExamples:\n  pinnace inspect app:v1\n  pinnace inspect app@sha256:…\n  ipfs get "$(pinnace inspect app:v1 --json | jq -r .imageCid)" -o app'
    )
    .action(async (name: string, options: { json?: boolean }, command) => {
      await inspect(shellFor(command), name, options)
      done(exitCodes.ok)
    })
}

async function inspect(shell: Shell, name: string, { json }: { json?: boolean }): Promise<void> {
  const { repository, reference } = parseImageName(name)
  await using operations = await connect(shell)
  const shown = showReference(repository, reference)
  const image = await operations.inspect(repository, reference, { signal: shell.signal }).catch(naming(shown))
  const { out } = shell.terminal
  if (json) out.write(`${JSON.stringify(image, undefined, 2)}\n`)
  else print(out, image)
}

function print(out: Output, image: Inspection): void {
  const { repository, tag, digest } = image
  out.write(
    `${paint(out, 'bold', tag === undefined ? showReference(repository, { digest }) : showReference(repository, { tag }))}\n`
  )
  const facts: [string, string | undefined][] = [
    ['digest', digest],
    ['media type', image.mediaType],
    ['size', showBytes(image.size)],
    ['CID', image.cid],
    ['image CID', image.imageCid ?? describeIncomplete(image)],
    ['subject', image.subject]
  ]
  for (const [fact, value] of facts) if (value !== undefined) out.write(`  ${fact.padEnd(10)}  ${printable(value)}\n`)
  if (image.config !== undefined) printLayers(out, 'Config', [image.config])
  if (image.layers.length > 0) printLayers(out, 'Layers', image.layers)
  if (image.manifests.length > 0) printManifests(out, image.manifests)
}

function printLayers(out: Output, title: string, layers: Inspection['layers']): void {
  out.write(`\n${title}\n`)
  const table = new Table(out, [
    { title: 'DIGEST' },
    { title: 'SIZE', align: 'right' },
    { title: 'CID' },
    { title: 'MEDIA TYPE' }
  ])
  for (const layer of layers)
    table.row(layer.digest, showBytes(layer.size), layer.cid ?? absence(layer), layer.mediaType)
  table.end()
}

function printManifests(out: Output, manifests: Inspection['manifests']): void {
  out.write('\nManifests\n')
  const table = new Table(out, [
    { title: 'PLATFORM' },
    { title: 'DIGEST' },
    { title: 'SIZE', align: 'right' },
    { title: 'IMAGE CID' }
  ])
  for (const child of manifests) {
    table.row(
      showPlatform(child.platform),
      child.digest,
      showBytes(child.size),
      child.imageCid ?? (child.lost ? '(lost)' : child.cid === undefined ? '(not here)' : '(incomplete)')
    )
  }
  table.end()
}

/** What `ls` says of the same image, and why. */
function describeIncomplete({ config, layers, manifests }: Inspection): string {
  const parts = [...(config === undefined ? [] : [config]), ...layers, ...manifests]
  const lost = parts.filter(part => part.lost).length
  if (lost > 0) return `(incomplete): ${count(lost, 'part is', 'parts are')} lost; push the image again`
  return '(incomplete): parts of the image are not on this node'
}

function absence({ lost }: Inspection['layers'][number]): string {
  return lost ? '(lost)' : '(not here)'
}
