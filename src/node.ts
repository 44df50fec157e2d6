/**
 * Composition root: the only place that names concrete classes and wires them to each other's ports.
 *
 * @module
 */
import { join, resolve } from 'node:path'
import type { CID } from 'multiformats/cid'
import { type OwnTokens, openOwnTokens } from './access/own-tokens.ts'
import type { AuditLog } from './access/ports.ts'
import type { Config } from './config.ts'
import { type DataFolder, explainAccess, type FolderIdentity, openDataFolder } from './data-folder.ts'
import type { BlockSource } from './ipfs/block-source.ts'
import { UnixfsDagBuilder } from './ipfs/dag-builder.ts'
import { readPeerId } from './ipfs/peer-id.ts'
import { openMetadata } from './metadata/open.ts'
import { NodeAccess } from './node/access.ts'
import { openAudit } from './node/audit.ts'
import { createBlockSource } from './node/block-source.ts'
import { Closers } from './node/closers.ts'
import { demandMetadata, demandNames } from './node/demand-metadata.ts'
import { registryInit, storageInit } from './node/settings.ts'
import { ipfsFolder } from './node/start-peer.ts'
import { type Digest, tryParseDigest } from './oci/digest.ts'
import { openRegistry } from './registry/index.ts'
import type { BlobFiles, BlockHome, Log, MetadataStore } from './registry/ports.ts'
import type { Registry } from './registry/registry.ts'
import { openStorage } from './storage/open-storage.ts'
import { blobPlace, storagePaths } from './storage/paths.ts'

export { serveNode } from './node/serve.ts'

/** Who this node is among IPFS peers. */
export interface Identity {
  peerId: string
  multiaddrs: string[]
}

export interface OpenNodeInit {
  log: Log
  /** What the lock of the data folder says of this process, e.g. `serve`. */
  command: string
  /** Requests will come in. Default false. */
  serving?: boolean
  /** Whether a data folder is made where there is none. Default false. */
  create?: boolean
  /** Stops an opening that is under way. */
  signal?: AbortSignal
}

/** A node's data, opened by this process; nothing listens. */
export interface OpenNode {
  readonly folder: string
  readonly folderIdentity: FolderIdentity
  readonly registry: Registry
  readonly metadata: MetadataStore
  /** This node's own tokens. */
  readonly tokens: OwnTokens
  /** What every door asks. */
  readonly access: NodeAccess
  readonly files: BlobFiles
  readonly blocks: BlockSource
  /** Where it is said who did what, when that is wanted. */
  readonly audit?: AuditLog
  /** Begins what data of an earlier version still need, behind whatever else is done. */
  upgrade(): void
  /** From now on told of every blob and image that can be had by its CID. One listener. */
  onStored(listener: (root: CID) => void): void
  /** A peer was to be given bytes that do not hash. */
  reportCorrupt(home: BlockHome): void
  /** Peer ID by the key file; nothing listens, so there are no addresses. */
  identity(): Promise<Identity>
  /** Where commands of other processes find this one, see `DataFolder.publishControlSocket`. */
  publishControlSocket(): Promise<string>
  /** In reverse order of opening. Idempotent. */
  close(): Promise<void>
}

/**
 * Opens the data folder for this process alone, recovers what a crash left, and assembles the registry.
 *
 * @throws {DataFolderLocked} naming the process that has it
 * @throws {NoDataFolder} when there is none and none is to be made
 * @throws {DataFolderUnusable}
 * @throws {MetadataMissing} when there are blobs and no metadata {MetadataUnusable} when it does not open
 * @throws {LayoutError} {SchemaUnsupported} when a newer Pinnace wrote it
 */
export async function openNode(config: Config, init: OpenNodeInit): Promise<OpenNode> {
  const { log, command, signal, create = false, serving = false } = init
  const closers = new Closers()
  const { rootdirectory } = config.storage.filesystem
  // Before the lock, which would leave its folder behind.
  await demandMetadata(resolve(rootdirectory))
  const folder = closers.add(await openDataFolder(rootdirectory, { command, create }), it => it.close())
  try {
    tellBeside(folder, log)
    const audit = closers.add(await openAudit(config.log.audit, log), async it => it?.close())
    const storage = closers.add(await openStorage(folder.path, { ...storageInit(config), log }), it => it.close())
    const metadata = closers.add(
      await openMetadata(join(folder.path, 'metadata'), { onDropped: sentence => log.error({}, sentence) }),
      it => it.close()
    )
    await folder.confirm()
    await demandNames(folder.path, metadata)
    signal?.throwIfAborted()
    const tokens = await openOwnTokens({ store: metadata.tokens, clock: Date })
    const dags = new UnixfsDagBuilder()
    let listener = (_root: CID): void => {}
    const stored = (root: CID) => listener(root)
    const { staging, blobs: files, room } = storage
    const components = { stored, metadata, staging, files, room, dags, clock: Date, log }
    const { registry, suspect, upgrade } = closers.add(
      await openRegistry(components, { ...registryInit(config), serving }),
      it => it.close()
    )
    const access = new NodeAccess(config)
    const blobPath = (digest: Digest): string => blobPlace(storagePaths(folder.path), digest).file
    const blockComponents = { metadata, files: storage.blobs, dags, authorize: access.authorize, blobPath }
    const blocks = createBlockSource(blockComponents)
    return {
      folder: folder.path,
      folderIdentity: folder.identity,
      registry,
      metadata,
      tokens,
      access,
      files: storage.blobs,
      blocks,
      upgrade,
      ...(audit && { audit }),
      onStored: told => {
        listener = told
      },
      reportCorrupt: home => {
        const digest = home.startsWith('blob:') ? tryParseDigest(home.slice('blob:'.length)) : undefined
        if (digest !== undefined) suspect(digest)
      },
      identity: async () => ({
        peerId: await readPeerId(ipfsFolder(folder.path), config.ipfs.key.file, log),
        multiaddrs: []
      }),
      publishControlSocket: () => folder.publishControlSocket(),
      close: () => closers.close()
    }
  } catch (error) {
    await closers.close()
    if (error instanceof Error && error.name === 'MetadataLocked') throw folder.otherHolder(error) ?? error
    throw await explainAccess(folder.path, error)
  }
}

function tellBeside({ path, beside }: DataFolder, log: Log): void {
  if (beside.length === 0) return
  log.warn(
    { beside },
    `the new data folder ${path} has other things in it, which are left as they are: ${beside.join(', ')}`
  )
}
