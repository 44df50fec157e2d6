/** Clients that push from an OCI image layout on the disk and keep credentials in a file that can be chosen. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Image, imageOf, tarOf, writeLayout } from '../images.ts'
import { type AuthClient, type ClientInit, outcomeOf } from './client.ts'

const smallImage = (): Image => imageOf([tarOf({ random: randomBytes(70_000) }), tarOf({ second: randomBytes(99) })])

interface Place {
  /** `127.0.0.1:<port>` */
  host: string
  folder: string
  /** An OCI image layout with the image `v1`. */
  layout: string
  /** A new path for what is pulled. */
  fresh(): string
}

type Parts = Omit<AuthClient, 'close'>

async function startOnLayout(
  host: string,
  image: Image | undefined,
  parts: (place: Place) => Parts | Promise<Parts>
): Promise<AuthClient> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-auth-'))
  const layout = join(folder, 'layout')
  await writeLayout(layout, { v1: image ?? smallImage() })
  let pulls = 0
  const fresh = (): string => {
    pulls += 1
    return join(folder, `pulled-${pulls}`)
  }
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true })
  return { ...(await parts({ host, folder, layout, fresh })), close }
}

export const crane: ClientInit = {
  name: 'crane',
  tools: ['crane'],
  says: { wrong: /UNAUTHORIZED/, denied: /DENIED/ },
  start: (host, image) =>
    startOnLayout(host, image, ({ folder, layout, fresh }) => {
      const env = { DOCKER_CONFIG: folder }
      const run = (...args: string[]) => outcomeOf('crane', args, { env })
      return {
        login: (user, input) =>
          outcomeOf('crane', ['auth', 'login', host, '-u', user, '--password-stdin'], { env, input }),
        logout: () => run('auth', 'logout', host),
        push: repository => run('push', layout, `${host}/${repository}:v1`),
        pull: repository => run('pull', `${host}/${repository}:v1`, fresh()),
        mount: (from, to) => run('copy', `${host}/${from}:v1`, `${host}/${to}:v1`),
        stored: () => readFile(join(folder, 'config.json'), 'utf8')
      }
    })
}

export const skopeo: ClientInit = {
  name: 'skopeo',
  tools: ['skopeo'],
  says: { wrong: /invalid username\/password|unauthorized/i, denied: /denied/ },
  start: (host, image) =>
    startOnLayout(host, image, ({ folder, layout, fresh }) => {
      const file = join(folder, 'auth.json')
      const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
      const run = (args: string[], input?: string) =>
        outcomeOf('skopeo', ['--insecure-policy', '--tmpdir', folder, ...args], input === undefined ? {} : { input })
      return {
        login: (user, password) =>
          run(['login', '--authfile', file, '--tls-verify=false', '-u', user, '--password-stdin', host], password),
        logout: () => run(['logout', '--authfile', file, host]),
        push: repository =>
          run([
            ...['copy', '--authfile', file, ...plain],
            ...[`oci:${layout}:v1`, `docker://${host}/${repository}:v1`]
          ]),
        pull: repository =>
          run([...['copy', '--authfile', file, ...plain], ...[`docker://${host}/${repository}:v1`, `dir:${fresh()}`]]),
        mount: (from, to) =>
          run([
            ...['copy', '--authfile', file, ...plain],
            ...[`docker://${host}/${from}:v1`, `docker://${host}/${to}:v1`]
          ]),
        stored: () => readFile(file, 'utf8')
      }
    })
}

export const oras: ClientInit = {
  name: 'oras',
  tools: ['oras'],
  says: { wrong: /401|unauthorized/i, denied: /denied/i },
  start: (host, image) =>
    startOnLayout(host, image, ({ folder, layout, fresh }) => {
      const file = join(folder, 'config.json')
      return {
        login: (user, input) =>
          outcomeOf(
            'oras',
            ['login', '--registry-config', file, '--plain-http', '-u', user, '--password-stdin', host],
            { input }
          ),
        logout: () => outcomeOf('oras', ['logout', '--registry-config', file, host]),
        push: repository =>
          outcomeOf('oras', [
            ...['cp', '--no-tty', '--to-registry-config', file, '--from-oci-layout', '--to-plain-http'],
            ...[`${layout}:v1`, `${host}/${repository}:v1`]
          ]),
        pull: repository =>
          outcomeOf('oras', [
            ...['cp', '--no-tty', '--from-registry-config', file, '--to-oci-layout', '--from-plain-http'],
            ...[`${host}/${repository}:v1`, `${fresh()}:v1`]
          ]),
        mount: (from, to) =>
          outcomeOf('oras', [
            ...['cp', '--no-tty', '--from-registry-config', file, '--to-registry-config', file],
            ...['--from-plain-http', '--to-plain-http', `${host}/${from}:v1`, `${host}/${to}:v1`]
          ]),
        stored: () => readFile(file, 'utf8')
      }
    })
}

export const regctl: ClientInit = {
  name: 'regctl',
  tools: ['regctl'],
  says: { wrong: /401|unauthorized/i, denied: /403|denied|forbidden/i },
  start: (host, image) =>
    startOnLayout(host, image, async ({ folder, layout, fresh }) => {
      const file = join(folder, 'regctl.json')
      const env = { REGCTL_CONFIG: file, DOCKER_CONFIG: folder }
      const run = (...args: string[]) => outcomeOf('regctl', args, { env })
      await run('registry', 'set', host, '--tls', 'disabled', '--skip-check')
      return {
        login: (user, input) =>
          outcomeOf('regctl', ['registry', 'login', host, '-u', user, '--pass-stdin'], { env, input }),
        logout: () => run('registry', 'logout', host),
        push: repository => run('image', 'copy', `ocidir://${layout}:v1`, `${host}/${repository}:v1`),
        pull: repository => run('image', 'copy', `${host}/${repository}:v1`, `ocidir://${fresh()}:v1`),
        mount: (from, to) => run('image', 'copy', `${host}/${from}:v1`, `${host}/${to}:v1`),
        stored: () => readFile(file, 'utf8')
      }
    })
}
