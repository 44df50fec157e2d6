import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type ClientInit, outcomeOf } from './client.ts'

const version = '0.1.0'

/** Helm's repository ends in the chart's name, so there is a chart for every name that is pushed. */
export const helm: ClientInit = {
  name: 'helm',
  tools: ['helm'],
  mounts: false,
  says: { wrong: /401|unauthorized/i, denied: /denied/i },
  async start(host) {
    const folder = await mkdtemp(join(tmpdir(), 'pinnace-auth-helm-'))
    const file = join(folder, 'registry.json')
    const registry = ['--registry-config', file]
    const run = (...args: string[]) => outcomeOf('helm', [...args, ...registry], { cwd: folder })
    const chart = async (name: string): Promise<string> => {
      await mkdir(join(folder, name), { recursive: true })
      const text = `apiVersion: v2\nname: ${name}\nversion: ${version}\ndescription: a test\n`
      await writeFile(join(folder, name, 'Chart.yaml'), text)
      await run('package', name)
      return `${name}-${version}.tgz`
    }
    let pulls = 0
    return {
      login: (user, input) =>
        outcomeOf('helm', ['registry', 'login', host, '--plain-http', '-u', user, '--password-stdin', ...registry], {
          input
        }),
      logout: () => run('registry', 'logout', host),
      push: async repository =>
        run('push', await chart(basename(repository)), `oci://${host}/${dirname(repository)}`, '--plain-http'),
      pull: async repository => {
        pulls += 1
        const into = join(folder, `pulled-${pulls}`)
        await mkdir(into)
        return run('pull', `oci://${host}/${repository}`, '--version', version, '--plain-http', '--destination', into)
      },
      stored: () => readFile(file, 'utf8'),
      close: () => rm(folder, { recursive: true, force: true })
    }
  }
}
