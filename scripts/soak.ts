/**
 * What is too long for CI: `npm run soak`. Hours on two cores; each part runs alone by its name, e.g.
 * `npm run soak -- kill`. Ends with the first part that fails.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
const bench = fileURLToPath(new URL('./bench/main.ts', import.meta.url))

interface Part {
  about: string
  args: string[]
  env: Record<string, string>
}

const parts: Record<string, Part> = {
  kill: {
    about: '1,000 rounds of SIGKILL in the middle of pushes',
    args: [vitest, 'run', 'test/crash/kill.test.ts'],
    env: { PINNACE_KILL_ROUNDS: '1000' }
  },
  fuzz: {
    about: '10 minutes of random requests',
    args: [vitest, 'run', 'test/oci-api/fuzz.test.ts'],
    env: { PINNACE_FUZZ_SECONDS: '600' }
  },
  timing: {
    about: 'how long refusals by bitswap take, of what is private and of what is nowhere',
    args: [vitest, 'run', 'test/node/bitswap-timing.test.ts'],
    env: { PINNACE_TIMING_WANTS: '3000' }
  },
  gc: {
    about: 'garbage collection over a million blobs, time and memory',
    args: [fileURLToPath(new URL('./bench/garbage.ts', import.meta.url))],
    env: {}
  },
  memory: { about: '10 GiB pushed and pulled, memory watched', args: [bench, 'memory'], env: {} }
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !(name in parts))
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}. There are ${Object.keys(parts).join(', ')}.`)
  process.exit(2)
}

for (const [name, part] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(`\n== ${name}: ${part.about}`)
  const started = Date.now()
  const child = spawn(process.execPath, part.args, { stdio: 'inherit', env: { ...process.env, ...part.env } })
  const [code] = await once(child, 'exit')
  console.log(`== ${name}: ${code === 0 ? 'passed' : 'FAILED'} after ${Math.round((Date.now() - started) / 1000)} s`)
  if (code !== 0) process.exit(1)
}
