/**
 * A node whose bearer tokens live for a minute, the least that Docker and podman believe, instead of five: how long is a
 * decision of the composition, not of the configuration.
 *
 * @module
 */
import { once } from 'node:events'
import { createLog } from '../../../src/cli/log.ts'
import { loadConfig } from '../../../src/config.ts'
import { serveNode } from '../../../src/node.ts'
import { shortLife } from './short-life.ts'

const [file = ''] = process.argv.slice(2)
const { config } = await loadConfig({ file, environment: process.env })
const log = createLog(config.log, process.stdout)
const node = await serveNode(config, { log, version: 'test', bearerLifetimeMs: shortLife })
console.log(node.addresses.join('\n'))
await once(process, 'SIGTERM')
await node.drain(1000)
await node.close()
