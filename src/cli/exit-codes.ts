/** What a command's exit status means. Stable: scripts depend on it. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  busy: 4,
  damaged: 5,
  interrupted: 130,
  terminated: 143
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

const meanings: Record<ExitCode, string> = {
  0: 'done',
  1: 'failed; the message says why',
  2: 'wrong usage, or a configuration that cannot be used',
  3: 'no such repository, tag, manifest, token, key, file or data folder',
  4: 'the data folder is in use by another process that cannot be asked',
  5: 'something is damaged or lost and not repaired: scrub names it',
  130: 'interrupted (SIGINT); a serving node: by the second one',
  143: 'terminated (SIGTERM); a serving node: by the second one'
}

/** The table as help text. */
export function describeExitCodes(codes: readonly ExitCode[] = Object.values(exitCodes)): string {
  return `Exit codes:\n${codes.map(code => `  ${String(code).padEnd(4)} ${meanings[code]}`).join('\n')}`
}
