import type { Inspection } from '../registry/registry.ts'

/** Bytes of the manifest and of everything it names, of an index with what its manifests name. */
export function imageSize(image: Pick<Inspection, 'size' | 'config' | 'layers' | 'manifests'>): number {
  const parts = [...(image.config === undefined ? [] : [image.config]), ...image.layers]
  const own = parts.reduce((sum, part) => sum + part.size, image.size)
  return image.manifests.reduce((sum, { total, size }) => sum + (total ?? size), own)
}
