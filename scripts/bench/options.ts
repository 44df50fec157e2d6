import { Command, InvalidArgumentError } from 'commander'

export const rowNames = ['push', 'pull', 'manifest', 'mixed', 'memory', 'start'] as const
export type RowName = (typeof rowNames)[number]

export interface BenchOptions {
  /** What to run; all of it when nothing was named. */
  rows: RowName[]
  rounds: number
  /** Times that the servers are started; the rounds are divided among them. */
  starts: number
  peers: Record<string, string>
  /** Another checkout of this project, measured instead of other registries. */
  before: string | undefined
  json: string | undefined
  tls: boolean
  /** GiB that the memory row pushes and pulls. */
  size: number
}

interface Parsed {
  rounds: number
  starts?: number
  peer: Record<string, string>
  before?: string
  json?: string
  tls: boolean
  size: number
}

/** @throws what commander throws (after printing why) for arguments that it does not understand, and for `--help` */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const program = new Command('npm run bench --')
    .description('Measures this node against the registries that are installed here.')
    .argument('[rows...]', `what to run: ${rowNames.join(', ')}; default all`, collectRow)
    .option('--rounds <n>', 'interleaved rounds of each row', positive, 9)
    .option(
      '--starts <n>',
      'divide the rounds among servers started so often; default 3 with --before, else 1',
      positive
    )
    .option('--peer <name=url>', 'a registry that runs already; may be repeated', collectPeer, {})
    .option('--before <folder>', 'a checkout of the version before with its dependencies, instead of other registries')
    .option('--json <file>', 'also write every figure to this file')
    .option('--tls', 'over TLS, with a certificate made for the run', false)
    .option('--size <GiB>', 'how much the row "memory" pushes and pulls', positive, 10)
    .exitOverride()
  program.parse([...argv], { from: 'user' })
  const { rounds, peer, before, json, tls, size, starts = before === undefined ? 1 : 3 } = program.opts<Parsed>()
  const [rows] = program.processedArgs as [RowName[]]
  return {
    rows: rows.length === 0 ? [...rowNames] : rows,
    rounds,
    starts: Math.min(rounds, starts),
    peers: peer,
    before,
    json,
    tls,
    size
  }
}

function collectRow(value: string, before: RowName[] | undefined): RowName[] {
  const name = rowNames.find(candidate => candidate === value)
  if (name === undefined) throw new InvalidArgumentError(`one of ${rowNames.join(', ')}`)
  return [...(before ?? []), name]
}

function positive(value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value)) throw new InvalidArgumentError('a number from 1 to 9999')
  return Number(value)
}

function collectPeer(value: string, before: Record<string, string>): Record<string, string> {
  const [, name, url] = /^([\w.-]+)=(https?:\/\/[^/]+)\/?$/.exec(value) ?? []
  if (name === undefined || url === undefined) throw new InvalidArgumentError('as in zot=http://127.0.0.1:5050')
  return { ...before, [name]: url }
}
