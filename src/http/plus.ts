/**
 * A value of a query that never holds a space: where there is one, somebody wrote a bare `+`, which forms mean a space by,
 * and meant it as it stands.
 */
export function withPlus(value: string): string {
  return value.replaceAll(' ', '+')
}
