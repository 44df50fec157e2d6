import { cp, mkdir, mkdtemp, open, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyList, run, serve, stop, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

/** The folder of a stopped node with an image, whose metadata is in a table and in a log. */
let original: string
let above: string

beforeAll(async () => {
  above = await mkdtemp(join(tmpdir(), 'pinnace-metadata-lost-'))
  original = join(above, 'data')
  const node = await serve(original)
  await pushImage(node.url, 'app', 'v1')
  expect(await stop(node)).toBe(0)
  // Opening writes what the log holds into a table.
  expect((await run(['ls', '--data', original])).code).toBe(0)
})
afterAll(() => rm(above, { recursive: true, force: true }))

async function copyOfIt(): Promise<string> {
  const data = join(await temporaryFolder(), 'copy')
  await cp(original, data, { recursive: true })
  return data
}

async function filesIn(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).sort()
}

async function blobFiles(data: string): Promise<number> {
  const entries = await readdir(join(data, 'blobs'), { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).length
}

const commands = [['serve'], ['ls'], ['scrub', '--repair'], ['gc'], ['quarantine', 'ls']]

describe('blobs without metadata', () => {
  const ways: [string, (metadata: string) => Promise<void>, string[][]][] = [
    ['no folder', metadata => rm(metadata, { recursive: true }), commands],
    [
      'an empty folder',
      async metadata => {
        await rm(metadata, { recursive: true })
        await mkdir(metadata)
      },
      [['serve']]
    ],
    ['no CURRENT', metadata => rm(join(metadata, 'CURRENT')), [['serve']]],
    ['a half-made one', metadata => rename(metadata, `${metadata}.new`), [['serve']]]
  ]
  it.each(ways)('start nothing and lose nothing: %s', async (_way, lose, tried) => {
    const data = await copyOfIt()
    await lose(join(data, 'metadata'))
    // As after a restore that left it out.
    await rm(join(data, 'lock'), { recursive: true })
    const before = await filesIn(data)
    for (const command of tried) {
      const { code, stdout, stderr } = await run([...command, '--data', data])
      expect({ command, code, stdout }).toEqual({ command, code: 1, stdout: '' })
      expect(stderr).toMatch(/^pinnace: .*\/metadata is missing, .*\/blobs holds 2 files\. .*restore .*move .*\n$/)
    }
    expect(await filesIn(data)).toEqual(before)
  })

  it('do not start on a database that was made new either, and do once it is restored', async () => {
    const data = await copyOfIt()
    const [metadata, saved, blobs] = ['metadata', 'saved', 'blobs'].map(name => join(data, name)) as [
      string,
      string,
      string
    ]
    await rename(metadata, saved)
    await rename(blobs, join(data, 'away'))
    expect(await run(['ls', '--data', data])).toEqual(emptyList)
    await rm(blobs, { recursive: true })
    await rename(join(data, 'away'), blobs)
    for (const command of [['serve'], ['scrub', '--repair']]) {
      const { code, stderr } = await run([...command, '--data', data])
      expect({ command, code }).toEqual({ command, code: 1 })
      expect(stderr).toContain('/metadata names nothing: it was made new, but ')
    }
    expect(await blobFiles(data)).toBe(2)
    await rm(metadata, { recursive: true })
    await rename(saved, metadata)
    expect(await run(['ls', '--data', data])).toMatchObject({ code: 0, stdout: 'app\n' })
    expect(await run(['scrub', '--data', data])).toMatchObject({ code: 0 })
  })

  it('is no matter of a fresh folder, nor of unfinished uploads', async () => {
    const data = join(await temporaryFolder(), 'data')
    await mkdir(join(data, 'blobs', 'sha256', 'ab'), { recursive: true })
    await mkdir(join(data, 'uploads'))
    await mkdir(join(data, 'metadata'))
    await writeFile(join(data, 'uploads', 'one'), 'half')
    await writeFile(join(data, 'blobs', 'sha256', 'ab', 'README'), 'no blob')
    await stop(await serve(data))
    expect(await run(['ls', '--data', data])).toEqual(emptyList)
    expect((await stat(join(data, 'metadata', 'CURRENT'))).size).toBeGreaterThan(0)
  })
})

describe('a database that does not open', () => {
  const damages: Record<string, (path: string) => Promise<void>> = {
    removed: path => rm(path),
    'cut short': path => truncate(path, 9),
    emptied: path => truncate(path, 0),
    'changed within': async path => {
      const file = await open(path, 'r+')
      await file.write(Buffer.from('ZZZZZ'), 0, 5, 8)
      await file.close()
    }
  }

  const files = ['MANIFEST', 'CURRENT', 'ldb']
  // LevelDB looks at a table's blocks when it reads them, and not for their checksums.
  const cases = files.flatMap(file => Object.keys(damages).map(damage => [file, damage] as const))
  it.each(cases.filter(([file, damage]) => file !== 'ldb' || damage !== 'changed within'))(
    'says the folder, what is wrong and what to do, in one line and with exit code 1: %s %s',
    async (file, damage) => {
      const data = await copyOfIt()
      const name = (await readdir(join(data, 'metadata'))).find(found => found.includes(file)) ?? ''
      await damages[damage]?.(join(data, 'metadata', name))
      const { code, stderr } = await run(['ls', '--data', data])
      expect(code).toBe(1)
      expect(stderr).toMatch(/^pinnace: [^\n]*\/metadata[^\n]*\n$/)
      expect(stderr).toMatch(/restore|backup/)
      expect(stderr).not.toMatch(/unexpected|Error:|at .*:\d+/)
      expect(await blobFiles(data)).toBe(2)
    }
  )
})
