import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Call } from './trace.ts'

interface Write {
  /** Number of the call. */
  call: number
  offset: number
  bytes: Buffer
  /** Cut to this length instead of writing. */
  truncate?: number
}

class File {
  /** Contents that a sync made durable. */
  durable: Buffer = Buffer.alloc(0)
  /** Writes since, in order. */
  pending: Write[] = []
}

class Folder {
  /** As the running process sees it. */
  readonly names = new Map<string, Inode>()
  /** As a power cut would leave it. */
  readonly durable = new Map<string, Inode>()
}

/** A file or folder, whatever its names. */
type Inode = File | Folder

/** A name that appeared in or went from a folder and is not synced. */
interface NameChange {
  call: number
  folder: Folder
  name: string
  inode: Inode | undefined
  /** The other half of a rename. */
  other?: NameChange
}

/** What of the unsynced survives a power cut: nothing, or a random number up to the one given of what was written. */
export type Survival = 'nothing' | ((upTo: number) => number)

/**
 * A disk that keeps nothing it was not told to: bytes are there after a sync of their file, names after a sync of their
 * folder. Only a rename is whole or not at all, also between two folders, as in every file system with a journal.
 * It is fed the calls of a recorded process.
 */
export class RecordedDisk {
  readonly #root: string
  readonly #top = new Folder()
  #nameChanges: NameChange[] = []
  readonly #open = new Map<number, { inode: Inode; position: number; append: boolean }>()
  #calls = 0

  constructor(root: string) {
    this.#root = root
  }

  apply(call: Call): void {
    const number = this.#calls++
    // Closing is not recorded: a number may have become a socket since.
    if ('file' in call && !this.holds(call.file)) return
    switch (call.type) {
      case 'open':
        this.#opened(number, call)
        break
      case 'write':
        this.#write(number, call)
        break
      case 'truncate':
        this.#truncate(number, call.fd, call.length)
        break
      case 'sync':
        this.#sync(call)
        break
      case 'mkdir':
        this.#name(number, call.path, new Folder())
        break
      case 'unlink':
        this.#name(number, call.path, undefined)
        break
      case 'link':
      case 'rename':
        this.#move(number, call)
        break
    }
  }

  /** Whether a path is of this disk; sockets and terminals are not. */
  holds(path: string): boolean {
    return path === this.#root || path.startsWith(`${this.#root}/`)
  }

  /** Writes what survives into an empty folder. */
  async materialize(target: string, survival: Survival): Promise<void> {
    let changes = survival === 'nothing' ? 0 : survival(this.#nameChanges.length)
    // Not between the halves of a rename.
    if (this.#nameChanges[changes]?.inode === undefined && this.#nameChanges[changes]?.other !== undefined) changes++
    await this.#restore(this.#top, target, this.#nameChanges.slice(0, changes), survival)
  }

  async #restore(folder: Folder, target: string, changes: readonly NameChange[], survival: Survival): Promise<void> {
    const names = new Map(folder.durable)
    for (const change of changes) {
      if (change.folder !== folder) continue
      if (change.inode === undefined) names.delete(change.name)
      else names.set(change.name, change.inode)
    }
    for (const [name, inode] of names) {
      const path = join(target, name)
      if (inode instanceof File) await writeFile(path, contentsOf(inode, survival), { mode: 0o600 })
      else {
        await mkdir(path)
        await this.#restore(inode, path, changes, survival)
      }
    }
  }

  /** The folder and the name in it; `undefined` outside this disk. */
  #locate(absolute: string): { folder: Folder; name: string } | undefined {
    if (!absolute.startsWith(`${this.#root}/`)) return undefined
    const parts = absolute.slice(this.#root.length + 1).split('/')
    const name = parts.pop() ?? ''
    let folder: Inode | undefined = this.#top
    for (const part of parts) folder = folder instanceof Folder ? folder.names.get(part) : undefined
    if (!(folder instanceof Folder)) throw new Error(`a folder this disk does not know: ${absolute}`)
    return { folder, name }
  }

  #opened(number: number, call: Extract<Call, { type: 'open' }>): void {
    this.#open.delete(call.fd)
    if (call.path === this.#root) this.#open.set(call.fd, { inode: this.#top, position: 0, append: false })
    const place = this.#locate(call.path)
    if (place === undefined) return
    let inode = place.folder.names.get(place.name)
    if (inode === undefined) {
      if (!call.create) return
      inode = new File()
      this.#name(number, call.path, inode)
    }
    this.#open.set(call.fd, { inode, position: 0, append: call.append })
    if (call.truncate) this.#truncate(number, call.fd, 0)
  }

  #write(number: number, call: Extract<Call, { type: 'write' }>): void {
    const open = this.#open.get(call.fd)
    if (!(open?.inode instanceof File)) return
    const offset = call.offset ?? (open.append ? contentsOf(open.inode, upTo => upTo).length : open.position)
    open.inode.pending.push({ call: number, offset, bytes: call.bytes })
    if (call.offset === undefined) open.position = offset + call.bytes.length
  }

  #truncate(number: number, fd: number, length: number): void {
    const inode = this.#open.get(fd)?.inode
    if (inode instanceof File) inode.pending.push({ call: number, offset: 0, bytes: Buffer.alloc(0), truncate: length })
  }

  #sync(call: Extract<Call, { type: 'sync' }>): void {
    const inode = this.#open.get(call.fd)?.inode
    if (inode instanceof File) {
      inode.durable = replay(
        inode.durable,
        inode.pending.filter(write => write.call < call.begun)
      )
      inode.pending = inode.pending.filter(write => write.call >= call.begun)
    } else if (inode !== undefined) this.#syncNames(inode, call.begun)
  }

  #syncNames(folder: Folder, begun: number): void {
    const synced = new Set(this.#nameChanges.filter(change => change.folder === folder && change.call < begun))
    for (const { other } of synced) if (other !== undefined) this.#include(other, synced)
    for (const change of this.#nameChanges) {
      if (!synced.has(change)) continue
      if (change.inode === undefined) change.folder.durable.delete(change.name)
      else change.folder.durable.set(change.name, change.inode)
    }
    this.#nameChanges = this.#nameChanges.filter(change => !synced.has(change))
  }

  /** A name that a rename took along, and the folders without which it would not be anywhere. */
  #include(change: NameChange, synced: Set<NameChange>): void {
    if (!this.#nameChanges.includes(change)) return
    synced.add(change)
    const made = this.#nameChanges.find(parent => parent.inode === change.folder)
    if (made !== undefined) this.#include(made, synced)
  }

  #move(number: number, call: Extract<Call, { type: 'rename' | 'link' }>): void {
    const from = this.#locate(call.from)
    if (from === undefined) return
    const inode = from.folder.names.get(from.name)
    if (inode === undefined) throw new Error(`${call.type} of a name this disk does not know: ${call.from}`)
    const to = this.#name(number, call.to, inode)
    const gone = call.type === 'rename' ? this.#name(number, call.from, undefined) : undefined
    if (to === undefined || gone === undefined) return
    to.other = gone
    gone.other = to
  }

  #name(call: number, absolute: string, inode: Inode | undefined): NameChange | undefined {
    const place = this.#locate(absolute)
    if (place === undefined) return undefined
    if (inode === undefined) place.folder.names.delete(place.name)
    else place.folder.names.set(place.name, inode)
    const change = { call, ...place, inode }
    this.#nameChanges.push(change)
    return change
  }
}

/** Bytes of unsynced writes reach the disk in any order: each may be there without the others. */
function contentsOf(file: File, survival: Survival): Buffer {
  if (survival === 'nothing') return file.durable
  return replay(
    file.durable,
    file.pending.filter(() => survival(1) === 1)
  )
}

function replay(contents: Buffer, writes: readonly Write[]): Buffer {
  let result = contents
  for (const { offset, bytes, truncate } of writes) {
    const before = truncate === undefined ? result : result.subarray(0, truncate)
    const grown = Buffer.alloc(truncate ?? Math.max(result.length, offset + bytes.length))
    before.copy(grown)
    bytes.copy(grown, offset)
    result = grown
  }
  return result
}
