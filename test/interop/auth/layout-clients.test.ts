import { helm } from './helm-client.ts'
import { crane, oras, regctl, skopeo } from './layout-clients.ts'
import { describeAuthentication } from './scenarios.ts'

for (const init of [crane, helm, oras, regctl, skopeo]) describeAuthentication(init)
