import type { BlockHome, BlockPlace } from '../../registry/ports.ts'
import type { BlockSource } from '../block-source.ts'
import { type Answers, homesAtOnce, type Question, type SentError } from './messages.ts'
import { OpenFiles } from './open-files.ts'

interface Waiting {
  resolve(value: Answers[keyof Answers]): void
  reject(error: Error): void
}

/**
 * The block source as the thread sees it: index and access rule are asked of the main thread, for every block anew;
 * files are read here.
 */
export class RemoteSource implements BlockSource {
  readonly #post: (id: number, question: Question) => void
  readonly #waiting = new Map<number, Waiting>()
  readonly #files: OpenFiles<BlockHome>
  #lastId = 0

  constructor(post: (id: number, question: Question) => void) {
    this.#post = post
    this.#files = new OpenFiles(home => this.#ask({ kind: 'path', home }))
  }

  async *blockHomes(multihash: Uint8Array): AsyncGenerator<{ home: BlockHome; place: BlockPlace }> {
    for (let skip = 0; ; skip += homesAtOnce) {
      const homes = await this.#ask({ kind: 'homes', multihash, skip })
      yield* homes
      if (homes.length < homesAtOnce) return
    }
  }

  node(multihash: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#ask({ kind: 'node', multihash })
  }

  async readRange(home: BlockHome, offset: number, length: number): Promise<Uint8Array | undefined> {
    return (await this.#files.read(home, offset, length)) ?? (await this.#ask({ kind: 'range', home, offset, length }))
  }

  /** Homes that anonymous may not read never come here. */
  async mayServe(): Promise<boolean> {
    return true
  }

  answered(id: number, value: Answers[keyof Answers]): void {
    this.#waiting.get(id)?.resolve(value)
    this.#waiting.delete(id)
  }

  failed(id: number, { message, stack }: SentError): void {
    this.#waiting.get(id)?.reject(Object.assign(new Error(message), { stack }))
    this.#waiting.delete(id)
  }

  /** The file was seen to be wrong; there may be a better one at its place by now. */
  forget(home: BlockHome): void {
    this.#files.forget(home)
  }

  close(): void {
    this.#files.close()
  }

  #ask<Kind extends keyof Answers>(question: Question & { kind: Kind }): Promise<Answers[Kind]> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      // The other side answers each kind of question with its kind of answer.
      this.#waiting.set(id, { resolve: value => resolve(value as Answers[Kind]), reject })
      this.#post(id, question)
    })
  }
}
