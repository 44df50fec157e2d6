import { Type } from '@sinclair/typebox'
import { count, list, record, repositoryPattern, size } from '../fields.ts'

export const quotas = list(
  record('A quota.', {
    repositories: list(repositoryPattern, {
      description:
        'Whom it is for: a pattern or several, as in `access`. Each repository that matches has the quota to itself.',
      minItems: 1
    }),
    blob: Type.Optional(size({ description: 'Largest blob; a larger upload gets 413.' })),
    size: Type.Optional(
      size({
        description:
          'Bytes of all blobs and manifests of one repository together, each digest once, mounted ones too; 413 beyond.'
      })
    ),
    uploads: Type.Optional(
      count({
        minimum: 1,
        maximum: 10_000,
        description:
          'Upload sessions open at once in one repository; 429 beyond. One that nobody wrote to for an hour makes place.'
      })
    )
  }),
  {
    default: [],
    description:
      'What repositories may hold. Of several that match, the one with the most specific pattern counts alone; a limit that it does not name does not exist.'
  }
)
