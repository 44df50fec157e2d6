/**
 * Configuration: distribution's `config.yml` and `REGISTRY_…` variables, and our own keys under `ipfs`. One schema gives
 * validation, the type {@link Config} and docs/configuration.md.
 *
 * @module
 */
export { isLoopback, type ListenAddress, readAddress } from './config/address.ts'
export { changedKeys } from './config/changed-keys.ts'
export { type CipherSuite, tlsCiphers } from './config/cipher-suites.ts'
export { listenAddresses } from './config/cross-check.ts'
export { readDuration, showDuration } from './config/duration.ts'
export { accessRules, asksWho, exposedBy } from './config/exposure.ts'
export {
  type ConfigSources,
  type InspectedConfig,
  inspectConfig,
  type LoadedConfig,
  type LoadOptions,
  loadConfig
} from './config/load.ts'
export { compilePattern } from './config/pattern.ts'
export { printConfig } from './config/print.ts'
export { ConfigError, type Place, type Problem } from './config/problem.ts'
export { renderReference } from './config/reference.ts'
export { type Config, configSchema } from './config/schema.ts'
export { readSize, showSize } from './config/size.ts'
export { Unjudged } from './config/unjudged.ts'
