import { Type } from '@sinclair/typebox'
import { count, duration, list, record, repositoryPattern, size } from '../fields.ts'

export const quotas = list(
  record('A quota.', {
    repositories: list(repositoryPattern, {
      description:
        'Whom it is for: a pattern or several, as in `access`. Each repository that matches has the quota to itself, but for `fetch`.',
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
    ),
    fetch: Type.Optional(
      record(
        'What the node may be made to get from elsewhere, for all repositories together that match; 429 beyond, until enough of it is long enough ago.',
        {
          bytes: size({ description: 'Bytes, whatever becomes of them; 0 for nothing at all.' }),
          per: duration({
            default: '24h',
            description: 'How long fetched bytes count. Kept in memory: a restarted node begins anew.'
          })
        }
      )
    )
  }),
  {
    default: [],
    description:
      'What repositories may hold, and have fetched. Of several that match, the one with the most specific pattern counts alone; a limit that it does not name does not exist.'
  }
)
