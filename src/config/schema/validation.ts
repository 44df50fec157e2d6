import { Type } from '@sinclair/typebox'
import { choice, flag, list, record, section, text } from '../fields.ts'

const pattern = Type.String({
  format: 'pattern',
  noun: 'a pattern',
  write: 'a regular expression that JavaScript understands too, such as ^https?://example\\.com/'
})

const platform = record('A platform.', {
  architecture: Type.Optional(text({ description: 'As in an image index, e.g. `amd64`.' })),
  os: Type.Optional(text({ description: 'As in an image index, e.g. `linux`.' }))
})

export const validation = section('What a pushed manifest must fulfil.', {
  disabled: flag({ default: false, description: 'Turn `urls` and `indexes` off.' }),
  manifests: section('Rules for manifests.', {
    urls: section(
      'Which `urls` a descriptor may carry (foreign layers). Without any rule every URL is allowed (distribution: none).',
      {
        allow: list(pattern, { default: [], description: 'Every URL must match one of these, when there are any.' }),
        deny: list(pattern, { default: [], description: 'No URL may match one of these.' })
      }
    ),
    indexes: section('Which images of a pushed image index must be here.', {
      platforms: choice('choice', ['all', 'none', 'list'], {
        default: 'all',
        description: '`all`, `none`, or those of `platformlist`.'
      }),
      platformlist: list(platform, { default: [], description: 'Platforms checked when `platforms` is `list`.' })
    }),
    sparse: choice('choice', ['none', 'indexes', 'all'], {
      default: 'none',
      description:
        'Pinnace’s own: which manifests are accepted although what they name is missing here: `none`; image `indexes` without some of their images; `all`, image manifests without their blobs too.'
    })
  })
})
