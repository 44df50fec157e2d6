import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/** No repository's name begins with it. */
const mark = '~'
/** Bytes of the longest name; all are sealed at this length, so that they look alike. */
const longest = 255
const ivLength = 12
const tagLength = 16

/**
 * Says in a link to the next page where a list goes on, where that is at something the asker must not learn the name of.
 * Good in this process: whoever comes back after a restart begins anew.
 */
export class SealedNames {
  readonly #key = randomBytes(32)

  /** A text of the characters of a URL's query, another one each time. @throws {RangeError} for a longer name than any */
  seal(name: string): string {
    if (Buffer.byteLength(name) > longest) throw new RangeError('longer than any name')
    const iv = randomBytes(ivLength)
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv)
    const padded = Buffer.alloc(longest)
    padded.write(name)
    const sealed = [iv, cipher.update(padded), cipher.final(), cipher.getAuthTag()]
    return mark + Buffer.concat(sealed).toString('base64url')
  }

  isSealed(text: string): boolean {
    return text.startsWith(mark)
  }

  /** `undefined` for what this process did not seal. */
  open(text: string): string | undefined {
    const bytes = Buffer.from(text.slice(mark.length), 'base64url')
    if (!this.isSealed(text) || bytes.length !== ivLength + longest + tagLength) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, ivLength))
    decipher.setAuthTag(bytes.subarray(-tagLength))
    const padded = decipher.update(bytes.subarray(ivLength, -tagLength))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    const end = padded.indexOf(0)
    return padded.toString('utf8', 0, end < 0 ? longest : end)
  }
}
