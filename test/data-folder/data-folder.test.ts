import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  checkDataFolder,
  DataFolderLocked,
  DataFolderUnusable,
  findHolder,
  NoDataFolder,
  openDataFolder,
  requireDataFolder
} from '../../src/data-folder.ts'

let root: string
let children: ChildProcessWithoutNullStreams[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'pinnace-folder-'))
  await writeFile(join(root, 'layout'), '1\n')
  children = []
})

afterEach(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await rm(root, { recursive: true, force: true })
})

/** A process of its own that tries to take the folder, and the first line it says. */
async function contend(path: string, uid?: number): Promise<{ child: ChildProcessWithoutNullStreams; said: string }> {
  const child = spawn(process.execPath, [
    join(import.meta.dirname, 'contender.ts'),
    path,
    ...(uid === undefined ? [] : [String(uid)])
  ])
  children.push(child)
  const [said] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { child, said }
}

describe('the lock', () => {
  it('names the process that holds it', async () => {
    const { child, said } = await contend(root)
    expect(said).toBe('held')
    const refusal = await openDataFolder(root, { command: 'gc', create: true }).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(DataFolderLocked)
    expect(refusal).toMatchObject({ holder: { pid: child.pid, command: 'serve' } })
    expect(String(refusal)).toMatch(new RegExp(`process ${child.pid} \\(pinnace serve, since \\d{4}-`))
    expect(await findHolder(root)).toMatchObject({ pid: child.pid })
  })

  it('is free after the holder closed, also in one process', async () => {
    const first = await openDataFolder(root, { command: 'serve', create: true })
    await expect(openDataFolder(root, { command: 'gc', create: true })).rejects.toBeInstanceOf(DataFolderLocked)
    await first.close()
    await first.close()
    expect(await findHolder(root)).toBeUndefined()
    const second = await openDataFolder(root, { command: 'gc', create: true })
    await second.close()
  })

  it('is free after the holder was killed, reaped or not', async () => {
    const { child } = await contend(root)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const folder = await openDataFolder(root, { command: 'serve', create: true })
    await folder.close()
  })

  it('is not held by a stranger whose pid was used again', async () => {
    const first = await openDataFolder(root, { command: 'serve', create: true })
    const [name = ''] = await readdir(join(root, 'lock'))
    const record = JSON.parse(await readFile(join(root, 'lock', name), 'utf8'))
    await first.close()
    await writeFile(join(root, 'lock', name), JSON.stringify({ ...record, start: 'another start' }))
    expect(await findHolder(root)).toBeUndefined()
    const second = await openDataFolder(root, { command: 'serve', create: true })
    await second.close()
  })

  it('is not held by a record of another boot, an emptied one, or one of a container that no longer answers', async () => {
    const first = await openDataFolder(root, { command: 'serve', create: true })
    const [name = ''] = await readdir(join(root, 'lock'))
    const record = JSON.parse(await readFile(join(root, 'lock', name), 'utf8'))
    await first.close()
    for (const stale of [
      JSON.stringify({ ...record, boot: 'another' }),
      '',
      JSON.stringify({ ...record, namespace: 'pid:[1]', controlSocket: join(root, 'control.sock') })
    ]) {
      await rm(join(root, 'lock'), { recursive: true })
      await mkdir(join(root, 'lock'))
      await writeFile(join(root, 'lock', '41'), stale)
      const folder = await openDataFolder(root, { command: 'serve', create: true })
      await folder.confirm()
      expect(await readdir(join(root, 'lock'))).toEqual(['42'])
      await folder.close()
    }
  })

  it('is held by a container that answers on its socket', async () => {
    const first = await openDataFolder(root, { command: 'serve', create: true })
    const [name = ''] = await readdir(join(root, 'lock'))
    const record = JSON.parse(await readFile(join(root, 'lock', name), 'utf8'))
    await first.close()
    const controlSocket = join(root, 'control.sock')
    const server = createServer().listen(controlSocket)
    await once(server, 'listening')
    await writeFile(join(root, 'lock', name), JSON.stringify({ ...record, namespace: 'pid:[1]', controlSocket }))
    await expect(openDataFolder(root, { command: 'gc', create: true })).rejects.toBeInstanceOf(DataFolderLocked)
    server.close()
  })

  it('goes to exactly one of many who find the same dead holder at once', async () => {
    for (let round = 0; round < 3; round++) {
      const { child } = await contend(root)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const contenders = await Promise.all(Array.from({ length: 8 }, () => contend(root)))
      const winners = contenders.filter(({ said }) => said === 'held')
      expect(winners).toHaveLength(1)
      const [winner] = winners
      for (const { said } of contenders) expect(['held', `refused ${winner?.child.pid}`]).toContain(said)
      winner?.child.stdin.end()
      if (winner !== undefined) await once(winner.child, 'exit')
    }
  })
})

describe('the control socket', () => {
  it('lies in the folder, is recorded, and what a killed process left there is removed', async () => {
    const folder = await openDataFolder(root, { command: 'serve', create: true })
    await writeFile(join(root, 'control.sock'), '')
    const socket = await folder.publishControlSocket()
    expect(socket).toBe(join(root, 'control.sock'))
    expect(await readdir(root)).toEqual(['layout', 'lock'])
    expect(await findHolder(root)).toMatchObject({ controlSocket: socket })
    await folder.close()
  })

  it('lies in a private folder elsewhere when the path is too long for a socket address', async () => {
    const deep = join(root, 'd'.repeat(100))
    const folder = await openDataFolder(deep, { command: 'serve', create: true })
    const socket = await folder.publishControlSocket()
    expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(103)
    expect((await stat(join(socket, '..'))).mode & 0o777).toBe(0o700)
    const server = createServer(connection => connection.destroy()).listen(socket)
    await once(server, 'listening')
    expect(await findHolder(deep)).toMatchObject({ controlSocket: socket })
    server.close()
    await once(server, 'close')
    await folder.close()
    await expect(stat(join(socket, '..'))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a folder that cannot be used', () => {
  it('is private when made here', async () => {
    const folder = await openDataFolder(join(root, 'new', 'er'), { command: 'serve', create: true })
    expect((await stat(join(root, 'new', 'er'))).mode & 0o777).toBe(0o700)
    await folder.close()
  })

  it.runIf(process.platform === 'linux')('says where the system keeps no files, and ends', async () => {
    const sentence = /^DataFolderUnusable: the data folder \/proc\/none cannot be made: the system keeps no files there/
    const attempts = [
      () => openDataFolder('/proc/none', { command: 'serve', create: true }),
      () => checkDataFolder('/proc/none')
    ]
    for (const attempt of attempts) expect(String(await attempt().catch((error: unknown) => error))).toMatch(sentence)
  })

  it('says that a file is in the way', async () => {
    await writeFile(join(root, 'file'), '')
    const refusal = await openDataFolder(join(root, 'file'), { command: 'serve', create: true }).catch(
      (error: unknown) => error
    )
    expect(refusal).toBeInstanceOf(DataFolderUnusable)
    expect(String(refusal)).toMatch(/is not a folder/)
  })

  it('says who may not write it and whose it is', async () => {
    await chmod(root, 0o555)
    // Root may write anywhere, so where the tests run as root the contender is somebody else.
    const { said } = await contend(join(root, 'data'), process.getuid?.() === 0 ? 65534 : undefined)
    await chmod(root, 0o700)
    expect(said).toMatch(
      /^DataFolderUnusable: user \S+ may not make the data folder .* belongs to user \S+, mode 555\): .*install -d -o \d+/
    )
  })
})

describe('a folder without data of Pinnace', () => {
  const data = () => join(root, 'data')
  const refusal = (path: string, create: boolean) =>
    openDataFolder(path, { command: 'serve', create }).catch((error: unknown) => error)

  it('is refused where none is to be made, and left as it is', async () => {
    expect(await refusal(data(), false)).toBeInstanceOf(NoDataFolder)
    await expect(requireDataFolder(data())).rejects.toBeInstanceOf(NoDataFolder)
    expect(await readdir(root)).toEqual(['layout'])
    await mkdir(join(data(), 'lost+found'), { recursive: true })
    const { mtimeMs } = await stat(data())
    expect(await refusal(data(), false)).toBeInstanceOf(NoDataFolder)
    await expect(requireDataFolder(data())).rejects.toBeInstanceOf(NoDataFolder)
    expect(await readdir(data())).toEqual(['lost+found'])
    expect((await stat(data())).mtimeMs).toBe(mtimeMs)
  })

  it.each([['Documents', '.bashrc'], ['src', 'package.json'], ['a', 'b', 'c', 'd'], ['backup.tar']])(
    'is not made one when it has other things: %s, %s',
    async (...names) => {
      await mkdir(data())
      for (const name of names) await writeFile(join(data(), name), '')
      const refused = await refusal(data(), true)
      expect(refused).toBeInstanceOf(DataFolderUnusable)
      expect(String(refused)).toContain(`${data()} has no data of Pinnace but other things (`)
      expect(String(refused)).toContain(`a new one such as ${join(data(), 'pinnace')}`)
      await expect(checkDataFolder(data())).rejects.toBeInstanceOf(DataFolderUnusable)
      expect((await readdir(data())).sort()).toEqual([...names].sort())
    }
  )

  it.each([
    [['lost+found'], []],
    [['docker', 'scheduler-state.json'], []],
    [['blobs', 'lock', 'uploads', 'metadata.new', 'layout.new'], []],
    [
      ['.bashrc', 'config.yml', 'htpasswd', 'registry.crt', 'lost+found'],
      ['.bashrc', 'config.yml', 'htpasswd', 'registry.crt']
    ]
  ])('is made one beside %j, and tells of %j', async (names, told) => {
    await mkdir(data())
    for (const name of names) {
      if (/^[a-z+]+$/.test(name) && name !== 'htpasswd') await mkdir(join(data(), name))
      else await writeFile(join(data(), name), '')
    }
    expect(await checkDataFolder(data())).toEqual({ path: data(), exists: true })
    const folder = await openDataFolder(data(), { command: 'serve', create: true })
    expect(folder.beside).toEqual(told)
    await folder.close()
  })

  it('that is being made by a node is that node’s', async () => {
    const { child } = await contend(data())
    expect(await refusal(data(), false)).toBeInstanceOf(DataFolderLocked)
    expect(await findHolder(data())).toMatchObject({ pid: child.pid })
    await expect(requireDataFolder(data())).resolves.toBeUndefined()
  })
})

describe('a record', () => {
  /** The folder with a record of this living process in which some things are otherwise. */
  async function given(changes: Record<string, unknown>, path = root): Promise<void> {
    await rm(join(path, 'lock'), { recursive: true, force: true })
    const held = await openDataFolder(path, { command: 'serve', create: true })
    const [name = ''] = await readdir(join(path, 'lock'))
    const record = JSON.parse(await readFile(join(path, 'lock', name), 'utf8'))
    await held.close()
    await writeFile(join(path, 'lock', name), JSON.stringify({ ...record, ...changes }))
  }

  const taken = async () =>
    openDataFolder(root, { command: 'gc' }).then(
      folder => folder.close(),
      (error: unknown) => (error instanceof DataFolderLocked ? error.because : error)
    )

  it('of this folder holds it; of another device or inode it does not', async () => {
    await given({})
    expect(await taken()).toBe('lives')
    const { dev, ino } = await stat(root, { bigint: true })
    await given({ folder: { device: String(dev), inode: String(ino + 1n), path: '/elsewhere' } })
    expect(await taken()).toBeUndefined()
    await given({ folder: { device: String(dev + 1n), inode: String(ino), path: '/elsewhere' } })
    expect(await taken()).toBeUndefined()
  })

  it('whose folder cannot be read is one of a version that names none', async () => {
    for (const folder of [null, 7, 'x', {}, { device: 1, inode: 2 }]) {
      await given({ folder })
      expect(await taken()).toBe('lives')
    }
  })

  it.each([
    ['says nothing', '', 'silent'],
    ['says another folder', '{"device":"1","inode":"2"}', undefined],
    ['says nothing of a folder', '{}', 'answers'],
    ['says what is no JSON', '<html>', 'answers']
  ])('of a container whose node %s', async (_what, body, because) => {
    const controlSocket = join(root, 'control.sock')
    await given({ namespace: 'pid:[1]', controlSocket })
    const server = createServer(connection => {
      if (body !== '') connection.end(`HTTP/1.1 200 OK\r\n\r\n${body}`)
      connection.on('error', () => {}).resume()
    }).listen(controlSocket)
    await once(server, 'listening')
    expect(await taken()).toBe(because)
    server.close()
  })

  it('of a container that says this very folder, wherever it was told to listen', async () => {
    const controlSocket = '/var/lib/registry/control.sock'
    const { dev, ino } = await stat(root, { bigint: true })
    await given({ namespace: 'pid:[1]', controlSocket, folder: { device: '9', inode: '9', path: '/var/lib/registry' } })
    const body = JSON.stringify({ device: String(dev), inode: String(ino) })
    const server = createServer(connection => {
      connection.on('error', () => {}).end(`HTTP/1.1 200 OK\r\n\r\n${body}`)
    }).listen(join(root, 'control.sock'))
    await once(server, 'listening')
    expect(await taken()).toBe('answers')
    expect(await findHolder(root)).toMatchObject({ controlSocket: join(root, 'control.sock') })
    server.close()
  })
})
