import { askNewPassword } from '../ask-password.ts'
import { exitCodes } from '../exit-codes.ts'
import { CommandFailure } from '../explain.ts'
import type { Register } from '../program.ts'
import type { Shell } from '../shell.ts'

export const registerUser: Register = (program, shellFor, done) => {
  const user = program.command('user').description('users with passwords, for the file that auth.htpasswd names')
  user
    .command('hash')
    .argument('<name>', 'name of the user')
    .description('read a password and print the line of an htpasswd file for it')
    .addHelpText(
      'after',
      `
The password is typed twice on a terminal, or is the one line of standard input; it is never an argument. A running node
reads the file again when it changes.

Examples:
  pinnace user hash alice >> /etc/pinnace/htpasswd
  pinnace user hash robot < robot.password >> /etc/pinnace/htpasswd`
    )
    .action(async (name: string, _options: object, command) => {
      await printLine(shellFor(command), name)
      done(exitCodes.ok)
    })
}

/** Bytes. */
const longestName = 255

async function printLine(shell: Shell, name: string): Promise<void> {
  // The colon ends the name in the file and in HTTP (RFC 7617, section 2); a line that begins with # is a comment.
  if (!/^[^:#\s\p{Cc}][^:\p{Cc}]*$/u.test(name) || name.endsWith(' ') || Buffer.byteLength(name) > longestName) {
    const rule = `no colon or control character, no # or space at the ends, at most ${longestName} bytes`
    throw new CommandFailure(exitCodes.usage, `${JSON.stringify(name)} cannot be the name of a user: ${rule}`)
  }
  const { hashPassword, longestPassword } = await import('../../credentials/hash-password.ts')
  const password = await askNewPassword(shell, name)
  if (password.includes('\0')) throw new CommandFailure(exitCodes.usage, 'a password cannot contain NUL')
  if (Buffer.byteLength(password) > longestPassword) {
    throw new CommandFailure(exitCodes.usage, `a password has at most ${longestPassword} bytes: bcrypt takes no more`)
  }
  shell.terminal.out.write(`${name}:${await hashPassword(password)}\n`)
}
