import { Type } from '@sinclair/typebox'
import { count, duration, flag, path, record, secret, section, text, url } from '../fields.ts'

const maintenance = section('What is done to the storage beside requests.', {
  uploadpurging: section('Removal of upload sessions that nobody finished.', {
    enabled: flag({ default: true, description: 'Whether old upload sessions are removed.' }),
    age: duration({
      default: '168h',
      description: 'Age, from its start, at which a session is removed that nobody is writing to.'
    }),
    interval: duration({ default: '24h', description: 'Time between two rounds.' }),
    dryrun: flag({ default: false, description: 'Log what would be removed, and remove nothing.' })
  }),
  readonly: section('Read-only mode.', {
    enabled: flag({ default: false, description: 'Answer every push and deletion with 405.' })
  })
})

const estuary = record('Estuary, a pin target. Parsed and kept; this version stores on the local disk only.', {
  url: Type.Optional(url({ description: 'Address of the Estuary API.' })),
  'shuttle-url': Type.Optional(url({ description: 'Address of the shuttle that takes content.' })),
  'auth-token': Type.Optional(secret({ description: 'API key.' })),
  rootdirectory: Type.Optional(path({ description: 'Prefix of the names given to content there.' }))
})

const storj = record('Storj, a pin target. Parsed and kept; this version stores on the local disk only.', {
  bucket: Type.Optional(text({ description: 'Name of the bucket.' })),
  accessgrant: Type.Optional(secret({ description: 'Serialized access grant.' }))
})

export const storage = section(
  'Where blobs are kept. `storage: filesystem` is short for `storage: {filesystem: {}}`.',
  {
    filesystem: section('The data folder.', {
      rootdirectory: path({
        missing: 'the data folder here, or use --data DIR: neither XDG_DATA_HOME nor HOME says where it is',
        description: 'The data folder: blobs, uploads, metadata, key. One node at a time. `--data` wins over it.',
        defaultNote:
          '`$XDG_DATA_HOME/pinnace`, else `~/.local/share/pinnace`; `/var/lib/registry`, as with distribution, when the file has `storage.filesystem` without it'
      }),
      maxthreads: count({
        minimum: 0,
        maximum: 100_000,
        default: 100,
        description:
          'Accepted for distribution’s sake, without effect: `ipfs.limits` bounds the work. Less than 25 is read as 25, as there.'
      })
    }),
    delete: section('Deletion by the API.', {
      enabled: flag({
        description: 'Whether tags, manifests and blobs can be deleted; 405 where not.',
        defaultNote: '`true` without a configuration file, `false` (as with distribution) with one'
      })
    }),
    maintenance,
    redirect: section('Redirects to a storage that clients can reach themselves.', {
      disable: flag({ default: false, description: 'Never redirect. The local disk never does.' })
    }),
    estuary: Type.Optional(estuary),
    storj: Type.Optional(storj)
  }
)
