import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Requirement {
  /** One line for a shell. */
  install: string
  /** Other users can install it, but not start it the way the tests do. */
  root?: true
}

const repository = fileURLToPath(new URL('../../', import.meta.url))

const apt = (...packages: string[]): string => `apt-get install -y --no-install-recommends ${packages.join(' ')}`
const built = (name: string): string => `test/interop/tools/build ${name}`

const requirements = {
  busybox: { install: apt('busybox-static') },
  chromium: { install: apt('chromium') },
  containerd: { install: apt('containerd'), root: true },
  cosign: { install: built('cosign') },
  crane: { install: built('crane') },
  ctr: { install: apt('containerd') },
  docker: { install: apt('docker.io') },
  'docker-registry': { install: apt('docker-registry') },
  dockerd: { install: apt('docker.io'), root: true },
  helm: { install: built('helm') },
  htpasswd: { install: apt('apache2-utils') },
  ip: { install: apt('iproute2'), root: true },
  ipfs: { install: built('kubo') },
  moby: { install: built('moby'), root: true },
  mount: { install: apt('mount'), root: true },
  olareg: { install: built('olareg') },
  openssl: { install: apt('openssl') },
  oras: { install: built('oras') },
  pebble: { install: built('pebble') },
  podman: { install: apt('podman', 'uidmap'), root: true },
  regctl: { install: built('regctl') },
  registry: { install: built('distribution') },
  skopeo: { install: apt('skopeo') },
  strace: { install: apt('strace') },
  tar: { install: apt('tar') },
  'token-server': { install: built('token-server') },
  umount: { install: apt('mount') }
} satisfies Record<string, Requirement>

/**
 * A program that the tests know how to install. `ipfs` is Kubo, `moby` the dockerd since Docker 29 (`dockerd` is Debian's,
 * older one), `registry` is distribution 3, `token-server` that of distribution 2.8.
 */
export type ToolName = keyof typeof requirements

/**
 * Folders searched for programs, in this order: `$PINNACE_TOOLS` (default `.tools/bin` of the repository), whose
 * versions are pinned, then `PATH`, then the folders of daemons, which are not on every user's `PATH`.
 */
export function toolFolders(): string[] {
  const path = (process.env.PATH ?? '').split(delimiter).filter(folder => folder !== '')
  const pinned = process.env.PINNACE_TOOLS ?? join(repository, '.tools', 'bin')
  return [...new Set([pinned, ...path, '/usr/local/sbin', '/usr/sbin', '/sbin'])]
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Absolute path of the program, or nothing where it is not installed. */
export function findTool(name: ToolName): string | undefined {
  return toolFolders()
    .map(folder => join(folder, name))
    .find(isExecutable)
}

/** What has to be done before `name` can be used here, or nothing where all is well. */
export function lacking(name: ToolName): string | undefined {
  const requirement: Requirement = requirements[name]
  if (findTool(name) === undefined) return `${name}: ${requirement.install}`
  if (requirement.root && process.getuid?.() !== 0) return `${name}: run as root`
  return undefined
}

/** Absolute path of the program; an `Error` with the line that installs it where it is not there. */
export function requireTool(name: ToolName): string {
  const path = findTool(name)
  if (path === undefined) throw new Error(`${name} is not installed; ${requirements[name].install}`)
  return path
}
