import type { Log } from '../registry/ports.ts'
import { checkKey } from './node/key.ts'
import { checked, checkedListen } from './node/listen.ts'
import { parsePeers } from './node/stay-connected.ts'

/** Settings as {@link IpfsInit} has them, read when they are asked for. */
export interface IpfsSettings {
  listen(): readonly string[] | undefined
  announce(): readonly string[]
  peers(): readonly string[]
  /** `undefined` where it is not known. */
  keyFile(): string | undefined
}

/**
 * What the start of the IPFS side asks of its settings, one check each; changes nothing. Whether the addresses are free is not
 * among them.
 *
 * @throws {IpfsSettingError} each of them, when it is called
 */
export function checkIpfs(settings: IpfsSettings, log: Log): (() => Promise<void>)[] {
  return [
    async () => {
      const file = settings.keyFile()
      if (file !== undefined) await checkKey(file, log)
    },
    async () => void checkedListen(settings.listen() ?? []),
    async () => void checked('ipfs.announce', settings.announce()),
    async () => void parsePeers(settings.peers())
  ]
}
