import { RegistryError } from '../errors.ts'
import { isRepository, maxRepositoryLength } from '../oci/reference.ts'
import { matchSequence, matchText } from './wildcard.ts'

/**
 * Names of repositories with wildcards, as rules, tokens and quotas write them: `*` stands for any characters within one
 * component, `**` as a whole component for any number of components, also none. `team/**` is `team`, `team/app` and
 * `team/app/base`; `**` is every repository.
 */
export interface RepositoryPattern {
  /** As it was written. */
  readonly text: string
  /** The empty name stands for the node as a whole, which only `**` matches. */
  matches(repository: string): boolean
  /** What every name begins with that it matches; of `team/**` it is `team`. Empty where that is nothing. */
  readonly beginning: string
  /**
   * Orders the patterns that match one repository: the larger is the more specific. An exact name before a pattern, then
   * more literal characters, more components, `*` before `**`, and fewer of them. Of two patterns one of which matches
   * only a part of what the other does, that one is the larger.
   */
  readonly specificity: number
}

/** The pattern of every repository, and of the node as a whole. */
export const everything: RepositoryPattern = {
  text: '**',
  matches: () => true,
  beginning: '',
  specificity: specificityOf('**')
}

/** @throws {RegistryError} NAME_INVALID saying what is wrong with it and what to write */
export function parsePattern(text: string): RepositoryPattern {
  if (!isPattern(text)) throw new RegistryError('NAME_INVALID', { message: wrongPattern(text) })
  if (text === '**') return everything
  return { text, matches: matcherOf(text), beginning: beginningOf(text), specificity: specificityOf(text) }
}

/** Whether {@link parsePattern} takes it: something that at least one repository name can match. */
export function isPattern(text: string): boolean {
  if (text.length > maxRepositoryLength || /\*\*[^/]|[^/]\*\*/.test(text)) return false
  return isRepository(text.replace(/\*+/g, 'x'))
}

/** The pattern of one repository alone, whatever characters its name has. */
export function exactPattern(repository: string): RepositoryPattern {
  const matches = (name: string) => name === repository
  return { text: repository, matches, beginning: repository, specificity: specificityOf('') }
}

/** What is wrong with a text that {@link isPattern} refuses, and what to write. */
export function wrongPattern(text: string): string {
  const shown = JSON.stringify(text.slice(0, maxRepositoryLength))
  if (text.length > maxRepositoryLength)
    return `${shown}… is longer than ${maxRepositoryLength} characters, so no repository can match it`
  if (/\*\*[^/]|[^/]\*\*/.test(text))
    return `${shown}: ** must be a whole component, as in team/** or **/app; within a component write *`
  return `${shown} can match no repository; write a name in lower case such as team/app, with * for a part of a component or ** for any number of components`
}

function matcherOf(text: string): (repository: string) => boolean {
  if (!text.includes('*')) return repository => repository === text
  const folder = text.slice(0, -'/**'.length)
  if (text.endsWith('/**') && !folder.includes('*')) {
    const prefix = `${folder}/`
    return repository => repository.startsWith(prefix) || repository === folder
  }
  const components = text.split('/')
  return repository => matchSequence(components, componentsOf(repository), isAnyComponents, fitsComponent)
}

/** Without the slash before a wildcard: `team/**` is also `team`. */
function beginningOf(text: string): string {
  return text.replace(/\/?\*.*/, '')
}

function componentsOf(repository: string): string[] {
  return repository === '' ? [] : repository.split('/')
}

const isAnyComponents = (component: string | undefined) => component === '**'
const fitsComponent = (wanted = '', component = '') =>
  wanted.includes('*') ? matchText(wanted, component) : wanted === component

/** Above every specificity of a pattern with wildcards. */
const exact = 2 ** 40

/** Five numbers in one, each below 256 because a pattern has at most 255 characters. */
function specificityOf(text: string): number {
  const components = text.split('/')
  const manifold = components.filter(component => component === '**').length
  const single = components.filter(component => component !== '**')
  const literals = single.reduce((sum, component) => sum + component.replaceAll('*', '').length, 0)
  const stars = single.reduce((sum, component) => sum + component.split('*').length - 1, 0)
  if (manifold + stars === 0) return exact
  return ((literals * 256 + single.length) * 256 + (255 - manifold)) * 256 + (255 - stars)
}
