import { parseRuleSubject } from '../access/rule-subject.ts'
import type { RuleSubject } from '../access/rules.ts'
import { accessRules, asksWho, exposedAddress, exposedBy } from './exposure.ts'
import { type Finding, findingAt } from './finding.ts'
import { showValue } from './problem.ts'
import type { Config } from './schema.ts'

/** What the parts of `auth` ask of each other. */
export function* checkSignIn({ htpasswd, token }: Config['auth']): Generator<Finding> {
  if (htpasswd !== undefined && token !== undefined) {
    yield findingAt('auth', 'both htpasswd and token are given; write one, the other would be passed over')
  }
  if (token !== undefined) yield* checkToken(token)
}

/** What `access` asks of `auth`. */
export function* checkRules(config: Config): Generator<Finding> {
  const { auth, access } = config
  if (access === 'open') {
    const guarded = auth.htpasswd !== undefined ? 'htpasswd' : auth.token !== undefined ? 'token' : undefined
    if (guarded !== undefined)
      yield findingAt(
        'access',
        `open lets everybody do everything, so that auth.${guarded} protects nothing; remove one of the two`
      )
    return
  }
  for (const { subject, key, text } of ruleSubjects(config)) {
    if (subject.kind !== 'group' || auth.htpasswd?.groups !== undefined) continue
    yield findingAt(
      key,
      `${showValue(text)} is a group, and nothing says who is in it; set auth.htpasswd.groups to a file`
    )
  }
}

function* checkToken(token: NonNullable<Config['auth']['token']>): Generator<Finding> {
  if (token.realm === undefined && !token.autoredirect) {
    yield findingAt('auth.token', 'realm is missing; write the URL of the token server, or autoredirect: true')
  }
  if (token.jwks === undefined && token.rootcertbundle === undefined) {
    yield findingAt(
      'auth.token',
      'no key is trusted; set jwks or rootcertbundle to the file with those of the token server'
    )
  }
}

/** Every subject of the rules, with its key. */
function* ruleSubjects(config: Config): Generator<{ subject: RuleSubject; text: string; key: string }> {
  for (const [at, rule] of accessRules(config).entries()) {
    for (const [index, text] of rule.subject.entries()) {
      const key = `access[${at}].subject${rule.subject.length === 1 ? '' : `[${index}]`}`
      yield { subject: parseRuleSubject(text), text, key }
    }
  }
}

/** What an operator should know about who may do what, although the node starts. */
export function* accessAdvice(config: Config): Generator<string> {
  const exposed = exposedBy(config)
  if (!asksWho(config) && exposed !== undefined) yield nothingAsks(config, exposed)
  const open = exposedAddress(config)
  const { tls, trustproxy } = config.http
  if (asksWho(config) && open !== undefined && tls === undefined && trustproxy.length === 0) {
    yield `http.addr ${open} is reachable from other machines and speaks plain HTTP: passwords and tokens can be read on their way. Set http.tls, or let a proxy on this machine speak TLS and http.addr be 127.0.0.1:5005`
  }
  yield* uselessRules(config)
}

function nothingAsks({ access }: Config, exposed: string): string {
  const reachable = `${exposed}: other machines reach this node and nothing asks for a password`
  return access === 'open'
    ? `${reachable}: with access: open, whoever reaches it can push, pull, delete and administer. Set auth.htpasswd to ask who it is, or keep the node to this machine (http.addr: 127.0.0.1:5005, no proxy in front)`
    : `${reachable}: whoever reaches it can push and pull; delete, fetch and admin are off. Set auth.htpasswd to ask who it is, or keep the node to this machine (http.addr: 127.0.0.1:5005, no proxy in front); access: open turns everything on for everybody`
}

/** Rules that nobody can come under, and rules that make all others void. */
function* uselessRules(config: Config): Generator<string> {
  const { htpasswd, token } = config.auth
  for (const { subject, text, key } of ruleSubjects(config)) {
    if (subject.kind === 'peer')
      yield `${key}: ${showValue(text)} has no effect yet, since by IPFS every peer gets what anonymous may pull, and no more`
    if (subject.kind !== 'user' || htpasswd !== undefined) continue
    yield token === undefined
      ? `${key}: ${showValue(text)} has no effect, since there are no users without auth.htpasswd`
      : `${key}: ${showValue(text)} has no effect, since with auth.token the tokens of that server alone say what their holders may`
  }
  for (const [at, { subject, actions, repositories }] of accessRules(config).entries()) {
    if (!subject.includes('anonymous') || !actions.includes('admin') || !repositories.includes('**')) continue
    yield `access[${at}] gives anonymous admin of everything: everybody may do everything, and nothing is protected by the other rules, users and tokens`
  }
}
