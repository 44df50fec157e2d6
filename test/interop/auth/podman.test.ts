import { podman } from './engine-clients.ts'
import { describeAuthentication } from './scenarios.ts'

describeAuthentication(podman)
