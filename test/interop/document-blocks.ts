/** A fenced block of a Markdown document: what stands behind the three backticks, and what is between. */
export interface DocumentBlock {
  language: string
  /** The second word: the file that the text is, or where it is typed. */
  place: string
  text: string
}

/** The blocks of a document that say in which language and where, in their order. */
export function blocksOf(markdown: string): DocumentBlock[] {
  const blocks = markdown.matchAll(/^```(\w+) (\S+)\n([\s\S]*?)^```$/gm)
  return [...blocks].map(([, language = '', place = '', text = '']) => ({ language, place, text }))
}
