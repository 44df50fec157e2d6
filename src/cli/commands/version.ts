import { exitCodes } from '../exit-codes.ts'
import type { Register } from '../program.ts'
import type { Shell } from '../shell.ts'
import { readVersion } from '../version.ts'

export const registerVersion: Register = (program, shellFor, done) => {
  program
    .command('version')
    .description('print the version')
    .option('--json', 'one JSON object: version, node, platform, arch')
    .addHelpText('after', '\nExamples:\n  pinnace version\n  pinnace version --json')
    .action(async (options: { json?: boolean }, command) => {
      await version(shellFor(command), options)
      done(exitCodes.ok)
    })
}

async function version({ terminal }: Shell, { json }: { json?: boolean }): Promise<void> {
  const { platform, arch, versions } = process
  const facts = { version: await readVersion(), node: versions.node, platform, arch }
  const text = `pinnace ${facts.version} (Node.js ${facts.node}, ${platform} ${arch})`
  terminal.out.write(`${json ? JSON.stringify(facts) : text}\n`)
}
