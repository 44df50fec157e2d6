/** Keys of the configuration that this module obeys. */
export type IpfsSetting = 'ipfs.listen' | 'ipfs.announce' | 'ipfs.peers' | 'ipfs.key.file'

/** The node cannot start as it is configured; the message begins with the key to change. */
export class IpfsSettingError extends Error {
  override readonly name = 'IpfsSettingError'
  readonly setting: IpfsSetting

  constructor(setting: IpfsSetting, message: string, options?: ErrorOptions) {
    super(`${setting}: ${message}`, options)
    this.setting = setting
  }
}
