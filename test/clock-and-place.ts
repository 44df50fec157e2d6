/** What libfaketime and the C library read. */
const names = ['LD_PRELOAD', 'FAKETIME', 'FAKETIME_DONT_FAKE_MONOTONIC', 'NO_FAKE_STAT', 'TZ', 'LANG', 'LC_ALL']

/**
 * Clock, time zone and language of this process for the programs that it starts, when libfaketime gave it another clock
 * (`.ci/elsewhere`): two processes of one test must agree what day it is. Empty otherwise.
 */
export function clockAndPlace(): Record<string, string> {
  if (process.env.FAKETIME === undefined) return {}
  return Object.fromEntries(names.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))
}
