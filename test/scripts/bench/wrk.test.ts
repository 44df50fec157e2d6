import { describe, expect, it } from 'vitest'
import { parseWrk } from '../../../scripts/bench/load/wrk.ts'

const output = (latency: string, tail = ''): string => `Running 3s test @ http://127.0.0.1:5000/v2/a/manifests/b
  1 threads and 10 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   504.64us    1.12ms  24.10ms   94.78%
    Req/Sec    31.38k     5.10k   40.25k    66.67%
  Latency Distribution
     50%  270.00us
     75%  340.00us
     90%  650.00us
     99%  ${latency}
  93650 requests in 3.00s, 120.15MB read
${tail}Requests/sec:  31201.55
Transfer/sec:     40.03MB
`

describe('what wrk prints', () => {
  it('is read with its units', () => {
    expect(parseWrk(output('5.93ms'))).toEqual({ requests: 93650, seconds: 3, p50: 0.27, p99: 5.93, max: 24.1 })
    expect(parseWrk(output('1.20s')).p99).toBe(1200)
  })
  it('is an error when responses or sockets failed', () => {
    expect(() => parseWrk(output('5.93ms', '  Non-2xx or 3xx responses: 12\n'))).toThrow('Non-2xx')
    expect(() => parseWrk(output('5.93ms', '  Socket errors: connect 0, read 3, write 0, timeout 0\n'))).toThrow(
      'read 3'
    )
  })
  it('is an error when it has no figures', () => {
    expect(() => parseWrk('unable to connect')).toThrow('no requests')
    expect(() => parseWrk(output('never'))).toThrow('99%')
  })
})
