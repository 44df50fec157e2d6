import { keys } from './keys.ts'
import type { Migration } from './migrate.ts'
import { encode } from './records.ts'

/**
 * Schema 3: a manifest of any type has a reference to every digest it names, where schema 2 had those that the types known
 * to it demand. Only the note that they are to be added is written here, before the node serves; the use cases add them
 * behind it, and free nothing until they have.
 *
 * The number is stamped with the note and not when all is done, so that an older Pinnace, which would collect what the new
 * references keep and push manifests without them, does not open the data from the first moment they may be relied on. One
 * that opened them between note and stamp is no harm: the note is written anew.
 */
export const referenceUpgrade: Migration = {
  from: 2,
  run: async level => {
    const durably: { valueEncoding: string; sync: boolean } = { valueEncoding: 'utf8', sync: true }
    await level.batch<string, string>(
      [{ type: 'put', key: keys.referenceUpgrade, value: encode.referenceUpgrade({}) }],
      durably
    )
  }
}
