#!/usr/bin/env node
/**
 * Nothing is imported before the runtime was looked at: this file must be understood by the Node of any machine, and
 * the size of libuv's thread pool is read once, when the pool is first used.
 *
 * @module
 */

/** Oldest Node that has what Helia and the standard library calls in here need. */
const oldest = [22, 19] as const
/** File reads, `fdatasync`, DNS and `crypto.subtle` share the pool; at 4, libuv's default, eight pulls already queue. */
const poolSize = '16'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (process.platform === 'win32') {
  process.stderr.write('pinnace does not run on Windows itself: use it inside WSL 2, or run its Docker image.\n')
  process.exitCode = 1
} else if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  process.stderr.write(
    `pinnace needs Node.js ${oldest.join('.')} or newer and this is ${process.versions.node}: install a newer one (https://nodejs.org), or run it as "npx --package=node@24 --package=pinnace pinnace".\n`
  )
  process.exitCode = 1
} else {
  process.env.UV_THREADPOOL_SIZE ??= poolSize
  // Compiled code, and types stripped, are kept for the next start, which then takes half the time and 20 MB less.
  // In the user's own folder: what lies in the system's temporary one may be somebody else's code.
  const { enableCompileCache } = await import('node:module')
  const cache =
    process.env.XDG_CACHE_HOME ?? (process.env.HOME === undefined ? undefined : `${process.env.HOME}/.cache`)
  if (cache?.startsWith('/')) enableCompileCache(`${cache}/pinnace`)
  const { run } = await import('./cli/run.ts')
  process.exit(await run(process.argv.slice(2)))
}

export {}
