import { Type } from '@sinclair/typebox'
import { actions } from '../../access/authorize.ts'
import { choice, list, record, repositoryPattern } from '../fields.ts'

const subject = Type.String({
  format: 'rule-subject',
  noun: 'a subject',
  write: 'anonymous, user, user:NAME, group:NAME, token, token:NAME, peer or peer:ID'
})

const rules = list(
  record('A rule.', {
    subject: list(subject, {
      single: true,
      minItems: 1,
      description:
        'Whom it is about, one or several: `anonymous`; `user`, anybody with a password, or `user:NAME`; `group:NAME`; `token`, any of this node’s own, or `token:NAME`; `peer` or `peer:ID`. What anonymous may, everyone may.'
    }),
    repositories: list(repositoryPattern, {
      single: true,
      minItems: 1,
      description:
        'Patterns of repository names: `*` stands for any characters within one component, `**` for any number of components. `team/**` is `team` and all below it, `**` is everything, the node itself too.'
    }),
    actions: list(choice('action', actions, { description: '' }), {
      description:
        '`pull`; `push`, which includes `create`; `create`, which writes what is new but moves no tag; `delete`; `fetch`, to have this node get something from elsewhere; `admin`, which includes all. `[]` closes what a wider pattern opens.'
    })
  }),
  { description: '' }
)

export const access = Type.Optional(
  Type.Union([Type.Literal('open'), rules], {
    guard: true,
    noun: 'open or a list of rules',
    write: 'open, or a list of rules such as [{subject: user, repositories: team/**, actions: [pull, push]}]',
    description:
      'Who may do what. A list of rules: of those whose subject and pattern match, the ones with the most specific pattern count, wherever they stand; without any the answer is no. `open`: everybody may do everything, from anywhere. Followed while the node runs: what is changed in the file counts from the next request on.',
    defaultNote:
      'with `auth`, users pull and push; without, everybody does everything, but only pulls and pushes where other machines reach the node'
  })
)

const tag = Type.String({
  format: 'tag-pattern',
  noun: 'a tag pattern',
  write: 'a tag with * for any characters, such as v*'
})

export const immutable = list(
  record('Tags that stay.', {
    repositories: list(repositoryPattern, {
      single: true,
      minItems: 1,
      description: 'Patterns of repository names, as in `access`.'
    }),
    tags: list(tag, {
      single: true,
      minItems: 1,
      description: 'Patterns of tags: `*` stands for any characters, as in `v*`.'
    })
  }),
  {
    default: [],
    description:
      'Tags that, once set, can neither be moved nor deleted by the API, whoever asks: 403. Followed while the node runs, as `access` is.'
  }
)
