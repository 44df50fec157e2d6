import type { Inspection } from '../registry/registry.ts'

/** Bytes of the manifest and of everything it names directly. */
export function imageSize(image: Pick<Inspection, 'size' | 'config' | 'layers' | 'manifests'>): number {
  const parts = [...(image.config === undefined ? [] : [image.config]), ...image.layers, ...image.manifests]
  return parts.reduce((sum, part) => sum + part.size, image.size)
}
