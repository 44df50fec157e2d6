import { cp, mkdir, open, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run, serve, stop, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

/** The folder of a stopped node with two images, whose metadata is in a table and in a log. */
async function pushedFolder(): Promise<string> {
  const data = join(await temporaryFolder(), 'data')
  const first = await serve(data)
  await pushImage(first.url, 'app', 'v1', 'x')
  expect(await stop(first)).toBe(0)
  const second = await serve(data)
  await pushImage(second.url, 'app', 'v2', 'y')
  expect(await stop(second)).toBe(0)
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
  it('start nothing and lose nothing, whichever way the metadata went', async () => {
    const original = await pushedFolder()
    const ways: Record<string, (metadata: string) => Promise<void>> = {
      'no folder': metadata => rm(metadata, { recursive: true }),
      'an empty folder': async metadata => {
        await rm(metadata, { recursive: true })
        await mkdir(metadata)
      },
      'no CURRENT': metadata => rm(join(metadata, 'CURRENT')),
      'a half-made one': metadata => rename(metadata, `${metadata}.new`)
    }
    for (const [way, lose] of Object.entries(ways)) {
      const data = join(await temporaryFolder(), 'copy')
      await cp(original, data, { recursive: true })
      await lose(join(data, 'metadata'))
      // As after a restore that left it out.
      await rm(join(data, 'lock'), { recursive: true })
      const before = await filesIn(data)
      for (const command of way === 'no folder' ? commands : [['serve']]) {
        const { code, stdout, stderr } = await run([...command, '--data', data])
        expect({ way, command, code, stdout }).toEqual({ way, command, code: 1, stdout: '' })
        expect(stderr).toMatch(/^pinnace: .*\/metadata is missing, .*\/blobs holds 3 files\. .*restore .*move .*\n$/)
      }
      expect(await filesIn(data)).toEqual(before)
    }
  })

  it('do not start on a database that was made new either, and do once it is restored', async () => {
    const data = await pushedFolder()
    const [metadata, saved, blobs] = ['metadata', 'saved', 'blobs'].map(name => join(data, name)) as [
      string,
      string,
      string
    ]
    await rename(metadata, saved)
    await rename(blobs, join(data, 'away'))
    expect(await run(['ls', '--data', data])).toEqual({ code: 0, stdout: '', stderr: '' })
    await rm(blobs, { recursive: true })
    await rename(join(data, 'away'), blobs)
    for (const command of [['serve'], ['scrub', '--repair']]) {
      const { code, stderr } = await run([...command, '--data', data])
      expect({ command, code }).toEqual({ command, code: 1 })
      expect(stderr).toContain('/metadata names nothing: it was made new, but ')
    }
    expect(await blobFiles(data)).toBe(3)
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
    expect(await run(['ls', '--data', data])).toEqual({ code: 0, stdout: '', stderr: '' })
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

  it('says the folder, what is wrong and what to do, in one line and with exit code 1', async () => {
    const original = await pushedFolder()
    const names = (await readdir(join(original, 'metadata'))).filter(name => /^(MANIFEST|CURRENT|.*\.ldb)/.test(name))
    expect(names).toHaveLength(3)
    const opened: string[] = []
    for (const name of names) {
      for (const [damage, inflict] of Object.entries(damages)) {
        const data = join(await temporaryFolder(), 'copy')
        await cp(original, data, { recursive: true })
        await inflict(join(data, 'metadata', name))
        const { code, stderr } = await run(['ls', '--data', data])
        if (code === 0) {
          opened.push(`${name.replace(/\d+/, 'N')} ${damage}`)
          continue
        }
        expect({ name, damage, code }).toEqual({ name, damage, code: 1 })
        expect(stderr).toMatch(/^pinnace: [^\n]*\/metadata[^\n]*\n$/)
        expect(stderr).toMatch(/restore|backup/)
        expect(stderr).not.toMatch(/unexpected|Error:|at .*:\d+/)
        expect(await blobFiles(data)).toBe(3)
      }
    }
    // LevelDB looks at a table's blocks when it reads them, and not for their checksums.
    expect(opened.filter(one => one !== 'N.ldb changed within')).toEqual([])
  })
})
