import type { DagBuilder } from '../registry/ports.ts'
import { fileDag } from './dag/file.ts'
import { imageDag } from './dag/image.ts'
import { dagLinks } from './dag/links.ts'

/** DAGs with the CIDs that Kubo 0.41 computes under its profile `unixfs-v1-2025` (IPIP-499). */
export class UnixfsDagBuilder implements DagBuilder {
  readonly file = fileDag
  readonly image = imageDag
  readonly links = dagLinks
}
