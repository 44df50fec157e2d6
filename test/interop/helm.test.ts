import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Pinnace, startPinnace } from './node.ts'
import { ask, expectAsk } from './registry-api.ts'
import { describeWithTools, runTool } from './tools.ts'

describeWithTools(['helm'], 'helm', () => {
  let folder: string
  let node: Pinnace
  const helm = (...args: string[]) => runTool('helm', args, { cwd: folder })
  const chart = async (version: string): Promise<string> => {
    await mkdir(join(folder, 'chart', 'templates'), { recursive: true })
    const description = `apiVersion: v2\nname: sample\nversion: ${version}\nappVersion: "7"\ndescription: a test\n`
    await writeFile(join(folder, 'chart', 'Chart.yaml'), description)
    await writeFile(join(folder, 'chart', 'values.yaml'), 'greeting: hello\n')
    const template = `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
data:
  greeting: {{ .Values.greeting | quote }}
`
    await writeFile(join(folder, 'chart', 'templates', 'config.yaml'), template)
    await helm('package', 'chart')
    return join(folder, `sample-${version}.tgz`)
  }
  const digestIn = (text: string): string => /Digest: (sha256:[0-9a-f]{64})/.exec(text)?.[1] ?? text

  let digest: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-helm-test-'))
    node = await startPinnace()
    for (const version of ['0.1.0', '0.2.0+build.5']) {
      const pushed = await helm('push', '--plain-http', await chart(version), `oci://${node.host}/charts`)
      if (version === '0.1.0') digest = digestIn(pushed.stdout + pushed.stderr)
    }
  })
  afterAll(async () => {
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('pushes a chart as the artifact that it is', async () => {
    const response = await expectAsk(node.url, 'charts/sample/manifests/0.1.0', 200, { headers: { Accept: '*/*' } })
    expect(response.headers.get('docker-content-digest')).toBe(digest)
    const manifest: { config: { mediaType: string }; layers: { mediaType: string }[] } = JSON.parse(
      await response.text()
    )
    expect(manifest.config.mediaType).toBe('application/vnd.cncf.helm.config.v1+json')
    expect(manifest.layers[0]?.mediaType).toBe('application/vnd.cncf.helm.chart.content.v1.tar+gzip')
  })

  it('pulls the very archive, by version, by range and by digest', async () => {
    const pushed = await readFile(join(folder, 'sample-0.1.0.tgz'))
    const pull = async (name: string, reference: string, ...flags: string[]): Promise<Buffer> => {
      const into = join(folder, name)
      await mkdir(into)
      const pulled = await helm('pull', '--plain-http', '--destination', into, reference, ...flags)
      expect(digestIn(pulled.stdout + pulled.stderr)).toBe(digest)
      const [file = ''] = await readdir(into)
      return await readFile(join(into, file))
    }
    const name = `oci://${node.host}/charts/sample`
    expect((await pull('version', name, '--version', '0.1.0')).equals(pushed)).toBe(true)
    // Helm chooses from the list of tags.
    expect((await pull('range', name, '--version', '~0.1')).equals(pushed)).toBe(true)
    expect((await pull('digest', `${name}@${digest}`)).equals(pushed)).toBe(true)
  })

  it('takes the latest, whose build metadata no tag can hold', async () => {
    const shown = await helm('show', 'chart', '--plain-http', `oci://${node.host}/charts/sample`)
    expect(shown.stdout).toMatch(/^version: 0\.2\.0\+build\.5$/m)
    const tags = await ask(node.url, 'charts/sample/tags/list')
    expect(await tags.json()).toEqual({ name: 'charts/sample', tags: ['0.1.0', '0.2.0_build.5'] })
  })

  it('renders a chart straight from the registry', async () => {
    const flags = ['--plain-http', '--version', '0.1.0', '--set', 'greeting=ahoy']
    const rendered = await helm('template', 'app', `oci://${node.host}/charts/sample`, ...flags)
    expect(rendered.stdout).toContain('greeting: "ahoy"')
  })

  it('says that a chart is unknown', async () => {
    await expect(helm('pull', '--plain-http', `oci://${node.host}/charts/none`, '--version', '1.0.0')).rejects.toThrow(
      /not found/
    )
  })
})
