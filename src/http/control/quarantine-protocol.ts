import { type Static, Type } from '@sinclair/typebox'
import type { AsideFile } from '../../registry/registry.ts'
import type { ErrorLine } from '../control-protocol.ts'

/**
 * What the command line and a running node say to each other about files that were put aside.
 *
 * | request | body | response |
 * |---|---|---|
 * | `GET /quarantine` | | {@link QuarantineLine}s |
 * | `POST /quarantine/remove` | {@link RemoveAsideRequest} | 204 |
 *
 * @module
 */

/** A file by its name. */
export const RemoveAsideRequest = Type.Object(
  { name: Type.String({ maxLength: 255 }) },
  { additionalProperties: false }
)
export type RemoveAsideRequest = Static<typeof RemoveAsideRequest>

export type QuarantineLine = { file: AsideFile } | ErrorLine
