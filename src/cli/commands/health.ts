import { get, type IncomingMessage, type RequestOptions } from 'node:http'
import { get as getSecurely } from 'node:https'
import type { ListenAddress } from '../../config.ts'
import { exitCodes } from '../exit-codes.ts'
import { CommandFailure } from '../explain.ts'
import type { Register } from '../program.ts'
import { readSettings } from '../settings.ts'
import type { Shell } from '../shell.ts'

/** ms */
const patience = 5_000

export const registerHealth: Register = (program, shellFor, done) => {
  program
    .command('health')
    .description('ask the node at http.addr whether it is ready; for health checks of containers')
    .addHelpText(
      'after',
      '\nEnds with 0 when /readyz says so, else with 1.\n\nExamples:\n  pinnace health && echo ready'
    )
    .action(async (_options: object, command) => {
      await health(shellFor(command))
      done(exitCodes.ok)
    })
}

async function health(shell: Shell): Promise<void> {
  const { listenAddresses } = await import('../../config.ts')
  const { config } = await readSettings(shell)
  const [address] = listenAddresses(config.http)
  const response = await ask(address, config.http.tls !== undefined, shell.signal).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message || cause.name : String(cause)
    throw new CommandFailure(exitCodes.failure, `the node does not answer: ${why}`, { cause })
  })
  if (response.statusCode !== 200) {
    throw new CommandFailure(exitCodes.failure, `the node is not ready: /readyz answers ${response.statusCode}`)
  }
  shell.terminal.out.write('ready\n')
}

function ask(address: ListenAddress | undefined, secure: boolean, stop: AbortSignal): Promise<IncomingMessage> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(patience)])
  // The certificate is of the public name, and this is a question to this very machine.
  const options = { ...target(address), path: '/readyz', agent: false, signal, rejectUnauthorized: false }
  return new Promise((settle, reject) => {
    const request = secure ? getSecurely(options) : get(options)
    request.once('error', reject)
    request.once('response', response => {
      response.resume()
      settle(response)
    })
  })
}

function target(address: ListenAddress | undefined): RequestOptions {
  if (address === undefined) throw new CommandFailure(exitCodes.usage, 'http.addr is empty')
  if (address.kind === 'unix') return { socketPath: address.path }
  const { host, port } = address
  // "Every interface" is no address to connect to everywhere.
  if (host === undefined || host === '0.0.0.0') return { host: '127.0.0.1', port }
  return { host: host === '::' ? '::1' : host, port }
}
