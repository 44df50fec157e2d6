import { KindGuard, type TSchema } from '@sinclair/typebox'
import { stringify } from 'yaml'
import { annotations } from './fields.ts'
import { foreignKeyNames } from './foreign.ts'
import { type Key, listOf, recordValue, walkKeys } from './keys.ts'
import { configSchema } from './schema.ts'

const introduction = `# Configuration

Pinnace starts without any. What it reads, in this order, the later over the earlier:

1. the defaults below;
2. a file: \`pinnace serve config.yml\`, or the one that \`REGISTRY_CONFIGURATION_PATH\` names;
3. variables of the environment;
4. \`--data DIR\` on the command line, for the data folder.

The file has the form of distribution's \`config.yml\`, and keys that both have mean the same; where Pinnace's default is
another, it is said below. \`pinnace config check config.yml\` lists everything wrong with a file, each with its line, and all else that would keep the node from starting;
\`pinnace config print\` shows what the node would run with, as a file that is accepted again: in the place of a secret is a comment
with the variables that set it.

## The file

YAML, one document of at most 1 MiB, with \`version: 0.1\` in it. Durations are Go's: \`10s\`, \`1h30m\`, \`168h\`; a bare
number is nanoseconds, as it is to distribution. Sizes are \`4MiB\`, \`4M\` (powers of 1024), \`4MB\` (powers of 1000) or
bytes. A single value stands for a list of one. A key with nothing after it is unset.

Paths are whole or relative to the folder the node is started in; \`~\` is not expanded, and refused.

A key that nobody knows is an error, with the nearest one that exists. A setting of distribution that Pinnace does not
have is a warning, except where ignoring it would open the registry: then the node does not start.

## The environment

Every key can be overridden by a variable: \`REGISTRY_\`, then the key in capitals with \`_\` between its parts. Names are
applied in lexical order, so \`REGISTRY_HTTP\` comes before \`REGISTRY_HTTP_ADDR\`. The value is YAML, so that a variable can
hold a whole section (\`REGISTRY_STORAGE_DELETE='{enabled: true}'\`) or a list (\`REGISTRY_IPFS_PEERS='[…, …]'\`); where text
is wanted and the value is no YAML scalar, it is taken as it is (\`REGISTRY_HTTP_ADDR=[::1]:5005\`). An empty value unsets.

- An entry of a list: its index from 0, e.g. \`REGISTRY_IPFS_LISTEN_0\`. An index one past the end appends.
- A key of a map (\`log.fields\`, \`http.headers\`): in lower case unless it is there already in another case, e.g.
  \`REGISTRY_LOG_FIELDS_SERVICE\`.
- A key with a dash: \`_\` or the dash itself, \`REGISTRY_STORAGE_ESTUARY_AUTH_TOKEN\` or \`…_AUTH-TOKEN\`. Shells set the first only.
- A secret: besides its own variable, \`<NAME>_FILE\` names a file that holds it, taken as it is but for a last newline.
  Setting both is an error.

A variable that begins with \`REGISTRY_\` and names no key is ignored with a warning that says the nearest, as distribution does; below
\`auth.htpasswd\` and \`auth.token\` it stops the start, because the registry would be open without it. What Kubernetes sets for a service
that is called "registry" or "registry-…" (\`REGISTRY_AUTH_SERVICE_HOST\`, \`REGISTRY_PORT=tcp://…\`) is passed over, whatever its name.

## Who may do what

Without \`auth\` and \`access\` nobody is asked for a password and everybody may do everything, on this machine. Where other
machines reach the node (\`http.addr\` is not loopback alone, \`http.trustproxy\` is set, or \`http.host\` or \`http.hosts\` has a name
that others use) they may pull and push; \`delete\`, \`fetch\` and \`admin\` are off until \`access: open\` turns them on.

\`auth.htpasswd\` or \`auth.token\` says who somebody is. Without \`access\`, users of the htpasswd file then pull and push
everything, this node's own tokens do what they were made for, and anonymous does nothing. With \`access\`, rules say it:

\`\`\`yaml
auth:
  htpasswd: {path: /etc/pinnace/htpasswd, groups: /etc/pinnace/groups}
access:
  - {subject: anonymous, repositories: public/**, actions: [pull]}
  - {subject: user, repositories: "**", actions: [pull]}
  - {subject: ["group:dev", "token:ci"], repositories: team/**, actions: [pull, push]}
  - {subject: "group:dev", repositories: team/releases, actions: [pull, create]}
  - {subject: user:alice, repositories: "**", actions: [admin]}
immutable:
  - {repositories: team/**, tags: v*}
\`\`\`

- Of the rules whose subject and pattern match, those with the most specific pattern count, all of them together; the order of the
  file does not matter. Without any the answer is no. So \`group:dev\` pulls \`team/releases\` and adds tags to it, but moves none.
- An exact name is more specific than a pattern; of two patterns the one with more literal characters, then the one with more
  components besides \`**\`, then the one with fewer \`**\`, then with fewer \`*\`.
- \`create\` makes what is new: it moves no tag and changes no manifest that is there. Together with \`delete\` it can put another
  in the place of a tag, and \`immutable\` is what keeps that: such a tag stays where it is, with all that its image is made of, also
  for whoever has \`admin\`, but not for \`pinnace rm\`.
- What anonymous may, everybody may. Whoever has \`admin\` on \`"**"\`, the node as a whole, may everything everywhere.
- A token's own repositories and actions are rules about that token alone; rules that name it, or \`token\`, join in.
- With \`auth.token\` the tokens of that server say alone what their holders may: \`push\` includes \`create\`, \`*\` is everything but
  \`admin\`. They are honoured until they expire, at most five minutes after the time of their \`iat\`, or \`nbf\` where that is
  missing; one without either is refused. Let that server make them for no longer: a client that goes by the clock, as Docker
  does, asks for another only when the time it was told is over.
- What other peers fetch by IPFS is what anonymous may pull. The rest is answered as if it were not here.
- Commands on this machine ask nobody: whoever can open the data folder owns the node.
- A text that begins with \`*\` needs quotes in YAML.

Files of passwords and groups are read again when they change, and so are \`access\` and \`immutable\` in the configuration file: they count from the next request on. A version that cannot be used is told of in the log and leaves the one before in force. What else changes in the configuration file is named in the log and counts from the next start on.
`

/** docs/configuration.md, made of the schema. */
export function renderReference(): string {
  const keys = [...walkKeys(configSchema)]
  const sections = keys.filter(key => (isSection(key.schema) && !isEntry(key)) || isListOfSections(key))
  const top = table(keys.filter(key => !key.name.includes('.') && !isSection(key.schema) && !isListOfSections(key)))
  const bodies = sections.map(section => renderSection(section, keys)).filter(body => body !== '')
  return `${[introduction, '## Keys\n', top, ...bodies, foreignSection()].join('\n')}`
}

function renderSection(section: Key, keys: readonly Key[]): string {
  const { description = '' } = annotations(section.schema)
  if (isListOfSections(section)) {
    const entries = keys.filter(key => key.name.startsWith(`${section.name}[].`))
    return `### \`${section.name}\`\n\n${table([section, ...entries])}`
  }
  const own = keys.filter(key => !isSection(key.schema) && parentOf(key.name, section.name))
  if (own.length === 0) return ''
  return `### \`${section.name}\`\n\n${description}\n\n${table(own)}`
}

function foreignSection(): string {
  const names = foreignKeyNames.map(name => `\`${name}\``).join(', ')
  return `## Settings of distribution that Pinnace does not have

${names}.

They are ignored with a warning. These stop the start instead, because without them the registry would be open: every
provider under \`auth\` but \`htpasswd\` and \`token\`, and \`http.tls.clientcas\`.
`
}

function isSection(schema: TSchema): boolean {
  return KindGuard.IsObject(schema)
}

/** At the top of the file, such as `access`. */
function isListOfSections({ name, schema }: Key): boolean {
  const entry = listOf(schema)?.items
  return !name.includes('.') && entry !== undefined && isSection(entry)
}

/** Fields of a list's entries are documented with the list. */
function isEntry(key: Key): boolean {
  return key.name.includes('[]')
}

function parentOf(name: string, section: string): boolean {
  return (
    name.startsWith(`${section}.`) &&
    !name
      .slice(section.length + 1)
      .replace('[].', '')
      .includes('.')
  )
}

function table(keys: readonly Key[]): string {
  const rows = keys.map(key => {
    const { description = '', secret } = annotations(key.schema)
    const variable = secret === true ? `\`${key.variable}\`, \`${key.variable}_FILE\`` : `\`${key.variable}\``
    return row([`\`${key.name}\``, typeName(key.schema), defaultOf(key), variable, description])
  })
  return `${[row(['Key', 'Type', 'Default', 'Variable', 'Meaning']), row(['---', '---', '---', '---', '---']), ...rows].join('\n')}\n`
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function typeName(schema: TSchema): string {
  if (KindGuard.IsArray(schema)) return `list of ${plural(typeName(schema.items))}`
  if (KindGuard.IsObject(schema)) return 'section'
  if (KindGuard.IsRecord(schema)) return `map to ${typeName(recordValue(schema))}`
  if (KindGuard.IsBoolean(schema)) return 'boolean'
  if (KindGuard.IsInteger(schema)) return `integer, ${schema.minimum ?? 0} to ${schema.maximum ?? '…'}`
  if (KindGuard.IsLiteral(schema)) return `\`${schema.const}\``
  if (KindGuard.IsUnion(schema) && listOf(schema) !== undefined) return schema.anyOf.map(typeName).join(', or ')
  const { noun = '', write = '', lowercase, secret } = annotations(schema)
  if (lowercase === true)
    return write
      .split(', ')
      .map(value => `\`${value}\``)
      .join(', ')
  return secret === true ? 'text (secret)' : noun.replace(/^an? /, '').replace(/ of TLS.*/, '')
}

function plural(name: string): string {
  if (name.endsWith('`')) return name
  return name.endsWith('s') ? `${name}es` : `${name}s`
}

function defaultOf(key: Key): string {
  const { default: fallback, defaultNote } = annotations(key.schema)
  if (defaultNote !== undefined) return defaultNote
  if (fallback === undefined) return key.optional ? 'none' : 'required'
  return `\`${stringify(fallback, { collectionStyle: 'flow', lineWidth: 0 }).trim()}\``
}
