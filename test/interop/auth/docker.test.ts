import { it } from 'vitest'
import { docker } from './engine-clients.ts'
import { describeAuthentication } from './scenarios.ts'

describeAuthentication(docker)

// What Docker would do there is done by containerd itself, see ctr.test.ts.
it.skip('with the containerd image store, which Debian’s Docker 20.10 does not have', () => {})
