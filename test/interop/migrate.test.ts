import { readFileSync } from 'node:fs'
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startDaemon } from './daemon.ts'
import { blocksOf } from './document-blocks.ts'
import { describeBytes, type Image, imageOf, indexOf, mediaTypes, tarOf } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { freeLoopbackPort } from './pebble.ts'
import { ask, pushImage, putBlob, putManifest, validateImage } from './registry-api.ts'
import { describeWithTools, type RunResult, requireTool, runProgram } from './tools.ts'

const document = readFileSync(new URL('../../docs/migrate.md', import.meta.url), 'utf8')
const blocks = blocksOf(document)
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** The text of every block for one place, in the order of the page. */
function typed(place: string): string {
  const texts = blocks.filter(block => block.place === place).map(({ text }) => text)
  if (texts.length === 0) throw new Error(`no block for ${place}`)
  return texts.join('\n')
}

/**
 * `docker run` of the image "registry" as the page types it: the program that is in the image, with the folder, port and
 * variables that the line gives the container.
 */
const docker = `docker() {
  case $1 in
  run)
    shift
    local settings=()
    while [ $# -gt 1 ]; do
      case $1 in
      -d) shift 1 ;;
      --name) shift 2 ;;
      -p) settings+=("REGISTRY_HTTP_ADDR=\${2%:5000}"); shift 2 ;;
      -v) settings+=("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=\${2%:/var/lib/registry:ro}"); shift 2 ;;
      -e) settings+=("$2"); shift 2 ;;
      *) echo "docker run: $1?" >&2; return 1 ;;
      esac
    done
    case $1 in registry:*) ;; *) return 1 ;; esac
    env OTEL_TRACES_EXPORTER=none "\${settings[@]}" "$OLD_PROGRAM" serve "$OLD_CONFIG" </dev/null >"$OLD_LOG" 2>&1 &
    echo $! >"$OLD_PID"
    ;;
  rm) kill "$(cat "$OLD_PID")" ;;
  *) return 1 ;;
  esac
}
`

for (const [program, version] of [
  ['docker-registry', '2.8'],
  ['registry', '3.1']
] as const) {
  describeWithTools([program, 'skopeo', 'crane', 'regctl'], `docs/migrate.md, from distribution ${version}`, () => {
    let folder: string
    let volume: string
    let node: Pinnace
    let old: string
    const single = imageOf([tarOf({ a: Buffer.from('single') })])
    const other = imageOf([tarOf({ b: Buffer.from('untagged') })])
    const arm = { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }
    const multi = indexOf([
      imageOf([tarOf({ x: Buffer.alloc(300_000, 1) })]),
      imageOf([tarOf({ y: Buffer.alloc(9, 2) })], arm)
    ])
    const signature = referrerOf(single)

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pinnace-migrate-'))
      volume = join(folder, 'volume')
      await fillVolume()
      node = await startPinnace({ dataDir: volume, config: { log: { level: 'info' } } })
      old = `127.0.0.1:${await freeLoopbackPort()}`
    })
    afterAll(async () => {
      await type('kill "$(cat "$OLD_PID")" 2>/dev/null || true')
      await node?.close()
      await rm(folder, { recursive: true, force: true })
    })

    /** What a registry of the old kind has after some time. */
    async function fillVolume(): Promise<void> {
      const file = join(folder, 'config.yml')
      const storage = { filesystem: { rootdirectory: volume } }
      await writeFile(file, JSON.stringify({ version: 0.1, storage, http: { addr: '127.0.0.1:0' } }))
      const daemon = await startDaemon(program, ['serve', file], {
        ready: /listening on 127\.0\.0\.1:\d+/,
        env: { OTEL_TRACES_EXPORTER: 'none' }
      })
      try {
        const url = `http://${/127\.0\.0\.1:\d+/.exec(daemon.readyLine)?.[0]}`
        await pushImage(url, 'app', 'v1', other)
        await pushImage(url, 'app', 'v1', single)
        await pushImage(url, 'team/deep/multi', 'v1', multi)
        await pushImage(url, 'team/deep/multi', 'latest', multi)
        for (const { descriptor, bytes } of signature.blobs) await putBlob(url, 'app', bytes, descriptor.digest)
        await putManifest(url, 'app', signature.descriptor.digest, signature)
        await pushImage(url, 'only/by-digest', other.descriptor.digest, other)
      } finally {
        await daemon.stop()
      }
    }

    /** Types it in the shell of the page, whose variables name this machine's addresses. */
    function type(script: string, exitCodes = [0]): Promise<RunResult> {
      const [settings = ''] = blocks.map(({ text }) => text)
      const here = `${settings}\n${script}`
        .replaceAll('VOLUME=/var/lib/registry', `VOLUME=${volume}`)
        .replaceAll('OLD=127.0.0.1:5001', `OLD=${old}`)
        .replaceAll('NEW=127.0.0.1:5005', `NEW=${node.host}`)
      const pinnace = `pinnace() { ${process.execPath} ${main} "$@" --data "$VOLUME"; }\n`
      const skopeo = `skopeo() { ${requireTool('skopeo')} --insecure-policy "$@"; }\n`
      const env = {
        OLD_PROGRAM: requireTool(program),
        OLD_CONFIG: join(folder, 'config.yml'),
        OLD_PID: join(folder, 'pid'),
        OLD_LOG: join(folder, 'old.log'),
        REGCTL_CONFIG: join(folder, 'regctl.json')
      }
      const whole = `${docker}${pinnace}${skopeo}${here}`
      // As a person's shell: a line that fails does not end it.
      return runProgram('/bin/bash', ['-c', whole], { env, exitCodes })
    }

    const isHere = async (path: string): Promise<boolean> => (await ask(node.url, path, { method: 'HEAD' })).ok
    const here = {
      untagged: () => isHere(`app/manifests/${other.descriptor.digest}`),
      referrer: () => isHere(`app/manifests/${signature.descriptor.digest}`),
      byDigest: () => isHere(`only/by-digest/manifests/${other.descriptor.digest}`)
    }
    async function validateTags(): Promise<void> {
      await validateImage(node.url, 'app', 'v1', single)
      await validateImage(node.url, 'team/deep/multi', 'v1', multi)
      await validateImage(node.url, 'team/deep/multi', 'latest', multi)
    }

    it('says at the start, and to `ls`, that the images are not taken over', async () => {
      const line = `${volume}/docker/registry/v2 holds the images of another registry`
      expect(node.logs()).toContain(line)
      const listed = await type('pinnace ls')
      expect(listed.stdout).toBe('')
      expect(listed.stderr).toContain(line)
      const { stderr } = await type('pinnace config check')
      expect(stderr).toContain(line)
    })

    it('starts the old registry, read-only', async () => {
      // The variables and the function stand in the first block, which is typed before every other.
      await type(typed('host'))
      const refused = await ask(`http://${old}`, 'app/blobs/uploads/', { method: 'POST' })
      expect(refused.status).toBe(405)
    })

    it('prints what is not the same while nothing is copied', async () => {
      const { stdout } = await type(typed('verify'))
      for (const name of ['app:v1', 'team/deep/multi:latest', 'team/deep/multi:v1'])
        expect(stdout).toContain(`${name} is not the same\n`)
    })

    it('copies all tags with skopeo, and leaves behind what has none', async () => {
      await type(typed('skopeo'))
      await validateTags()
      expect([await here.untagged(), await here.referrer(), await here.byDigest()]).toEqual([false, false, false])
    })

    it('copies all tags with crane', async () => {
      await type('pinnace rm app:v1 --yes && pinnace rm team/deep/multi:v1 --yes')
      await type(typed('crane'))
      await validateTags()
    })

    it('copies the rest with regctl', async () => {
      await type(typed('regctl'))
      await validateTags()
      expect([await here.untagged(), await here.referrer(), await here.byDigest()]).toEqual([true, true, true])
      const referrers = await ask(node.url, `app/referrers/${single.descriptor.digest}`)
      expect(await referrers.text()).toContain(signature.descriptor.digest)
      await validateImage(node.url, 'only/by-digest', other.descriptor.digest, other)
    })

    it('finds nothing that is not the same then', async () => {
      const { stdout } = await type(typed('verify'))
      expect(stdout).not.toContain('is not the same')
      expect(stdout).toMatch(/ 0 damaged/)
    })

    it('is all there when the old registry is gone, and nothing is said of it any more', async () => {
      const pid = Number(await readFile(join(folder, 'pid'), 'utf8'))
      await type(typed('remove'))
      await expect(access(join(volume, 'docker'))).rejects.toMatchObject({ code: 'ENOENT' })
      await expect.poll(() => isAlive(pid), { timeout: 20_000 }).toBe(false)
      await node.restart()
      await validateTags()
      expect(node.logs()).not.toContain('another registry')
      expect((await type('pinnace ls')).stderr).toBe('')
    })
  })
}

it('every block of docs/migrate.md says where it is typed', () => {
  expect(blocks.length).toBeGreaterThan(5)
  expect(document.match(/^```\w/gm)).toHaveLength(blocks.length)
})

/** A signature, as far as a registry can tell: a manifest whose subject is the image. */
function referrerOf(subject: Image): Image {
  const empty = Buffer.from('{}')
  const config = { descriptor: describeBytes('application/vnd.oci.empty.v1+json', empty), bytes: empty }
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: 'application/vnd.example.signature',
      config: config.descriptor,
      layers: [config.descriptor],
      subject: { ...subject.descriptor, platform: undefined }
    })
  )
  return { descriptor: describeBytes(mediaTypes.manifest, bytes), bytes, children: [], blobs: [config] }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
