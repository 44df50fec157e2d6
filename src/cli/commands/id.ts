import { connect } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Register } from '../program.ts'
import type { Shell } from '../shell.ts'
import { printable } from '../terminal.ts'

export const registerId: Register = (program, shellFor, done) => {
  program
    .command('id')
    .description('print the peer ID and the multiaddrs that peers reach the node by')
    .option('--json', 'one JSON object: peerId, multiaddrs (empty when the node is not running)')
    .addHelpText(
      'after',
      '\nExamples:\n  pinnace id\n  ipfs swarm connect "$(pinnace id --json | jq -r .multiaddrs[0])"'
    )
    .action(async (options: { json?: boolean }, command) => {
      await id(shellFor(command), options)
      done(exitCodes.ok)
    })
}

async function id(shell: Shell, { json }: { json?: boolean }): Promise<void> {
  await using operations = await connect(shell)
  const { peerId, multiaddrs } = await operations.id({ signal: shell.signal })
  const { out } = shell.terminal
  if (json) {
    out.write(`${JSON.stringify({ peerId, multiaddrs })}\n`)
    return
  }
  for (const line of [peerId, ...multiaddrs]) out.write(`${printable(line)}\n`)
}
