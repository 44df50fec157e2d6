import { docker } from './engine-clients.ts'
import { describeAuthentication } from './scenarios.ts'

describeAuthentication(docker)
