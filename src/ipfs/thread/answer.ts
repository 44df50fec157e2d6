import type { BlockSource } from '../block-source.ts'
import type { Answers, Question } from './messages.ts'

/** Answers a question of the thread, from the index and the access rule as they are now. */
export async function answer(source: BlockSource, question: Question): Promise<Answers[keyof Answers]> {
  switch (question.kind) {
    case 'homes':
      return await servable(source, question.multihash)
    case 'node':
      return owned(await source.node(question.multihash))
    case 'path':
      return await source.filePath?.(question.home)
    case 'range':
      return owned(await source.readRange(question.home, question.offset, question.length))
  }
}

async function servable(source: BlockSource, multihash: Uint8Array): Promise<Answers['homes']> {
  const homes: Answers['homes'] = []
  for await (const found of source.blockHomes(multihash)) {
    if (await source.mayServe(found.home)) homes.push(found)
  }
  return homes
}

/** A view alone: what it is a view of would be sent with it. */
function owned(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined || bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes)
}
