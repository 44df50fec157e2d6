import { type Action, type Authorize, createAccess, openAccess, type Reach, wholeReach } from '../access/authorize.ts'
import { createImmutableTags, type ImmutableTag } from '../access/immutable.ts'
import { everything, parsePattern } from '../access/pattern.ts'
import { parseRuleSubject } from '../access/rule-subject.ts'
import type { AccessRule, RuleSubject } from '../access/rules.ts'
import { accessRules, asksWho, type Config, exposedBy } from '../config.ts'

interface Policy {
  authorize: Authorize
  reach: Reach
  immutable: ImmutableTag
  openHint?: string
}

/** What every door of a node asks. Each answer is by the configuration in force at that moment. */
export class NodeAccess {
  #policy: Policy

  constructor(config: Config) {
    this.#policy = policyOf(config)
  }

  readonly authorize: Authorize = (subject, action, repository) => this.#policy.authorize(subject, action, repository)
  readonly reach: Reach = (subject, action) => this.#policy.reach(subject, action)
  readonly immutable: ImmutableTag = (repository, tag) => this.#policy.immutable(repository, tag)
  /** What somebody is told who is refused where nobody is asked for a password. */
  readonly openHint = (): string | undefined => this.#policy.openHint

  /** From the next question on, `access` and `immutable` are as they are here. */
  follow(config: Config): void {
    this.#policy = policyOf(config)
  }
}

/** Who may do what, by `auth`, `access` and where the node listens. */
function policyOf(config: Config): Policy {
  const immutable = createImmutableTags(
    config.immutable.flatMap(({ repositories, tags }) =>
      repositories.map(parsePattern).flatMap(pattern => tags.map(tag => ({ repositories: pattern, tags: tag })))
    )
  )
  if (asksWho(config)) return { ...createAccess({ rules: configuredRules(config) }), immutable }
  if (config.access === 'open' || exposedBy(config) === undefined)
    return { authorize: openAccess, reach: wholeReach, immutable }
  return { ...createAccess({ rules: exposedRules }), immutable, openHint: exposedHint }
}

/** What to tell the operator of tokens that nobody is asked for. */
export function tokenAdvice(config: Config, tokens: number): string | undefined {
  if (tokens === 0 || asksWho(config)) return undefined
  return `there are tokens (${tokens}), and nobody is asked for one: whoever reaches this node comes in without. Set auth.htpasswd, or rules as access:, or remove them with "pinnace token rm"`
}

function ruleFor(subject: RuleSubject, ...actions: Action[]): AccessRule {
  return { subject, pattern: everything, actions: new Set(actions) }
}

/** `auth` without `access`. */
const defaultRules: readonly AccessRule[] = [ruleFor({ kind: 'user' }, 'pull', 'push')]

/** Nobody is asked who they are, and it may be anybody. */
const exposedRules: readonly AccessRule[] = [ruleFor({ kind: 'anonymous' }, 'pull', 'push')]
const exposedHint =
  'this registry asks nobody for a password and other machines reach it, so that delete, fetch and admin are off: its operator can set auth.htpasswd, or access: open to allow them to everybody'

function configuredRules(config: Config): readonly AccessRule[] {
  if (config.access === undefined) return defaultRules
  return accessRules(config).flatMap(({ subject, repositories, actions }) =>
    subject
      .map(parseRuleSubject)
      .flatMap(whom =>
        repositories.map(text => ({ subject: whom, pattern: parsePattern(text), actions: new Set(actions) }))
      )
  )
}
