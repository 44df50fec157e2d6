import type { Log } from '../../src/registry/ports.ts'

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
