import { ctr } from './engine-clients.ts'
import { describeAuthentication } from './scenarios.ts'

describeAuthentication(ctr)
