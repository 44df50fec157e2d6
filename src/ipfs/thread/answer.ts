import type { BlockSource } from '../block-source.ts'
import { servable } from '../servable.ts'
import { type Answers, homesAtOnce, type Question } from './messages.ts'

/** Answers a question of the thread, from the index and the access rule as they are now. */
export async function answer(source: BlockSource, question: Question): Promise<Answers[keyof Answers]> {
  switch (question.kind) {
    case 'homes':
      return await someHomes(source, question.multihash, question.skip)
    case 'node':
      return owned(await source.node(question.multihash))
    case 'path':
      return await source.filePath?.(question.home)
    case 'range':
      return owned(await source.readRange(question.home, question.offset, question.length))
  }
}

/** A block may be in thousands of blobs; nearly always the first will do. */
async function someHomes(source: BlockSource, multihash: Uint8Array, skip: number): Promise<Answers['homes']> {
  const homes: Answers['homes'] = []
  let seen = 0
  for await (const found of servable(source, multihash)) {
    if (seen++ < skip) continue
    homes.push(found)
    if (homes.length === homesAtOnce) break
  }
  return homes
}

/** A view alone: what it is a view of would be sent with it. */
function owned(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined || bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes)
}
