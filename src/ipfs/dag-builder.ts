import type { DagBuilder } from '../registry/ports.ts'
import { fileDag } from './dag/file.ts'
import { imageDag } from './dag/image.ts'
import { dagLinks } from './dag/links.ts'

/** DAGs with the CIDs that Kubo 0.41 computes under its profile `unixfs-v1-2025` (IPIP-499). */
export function createDagBuilder(): DagBuilder {
  return { file: fileDag, image: imageDag, links: dagLinks }
}
