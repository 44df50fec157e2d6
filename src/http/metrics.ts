import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry as PromRegistry } from 'prom-client'

/** One finished request as metrics count it. */
export interface RequestSample {
  route: string
  method: string
  status: number
  /** Until the response closed. */
  seconds: number
  /** Bodies. */
  received: number
  sent: number
}

/** What the HTTP doors report, and where Prometheus reads it. */
export interface HttpMetrics {
  /** For `/metrics`, and for others to add theirs. */
  readonly registry: PromRegistry
  started(): void
  finished(sample: RequestSample): void
  /** A request of a client that makes too many, by which of its limits. */
  limited(limit: 'rate' | 'requests' | 'uploads' | 'connections'): void
}

interface Series {
  requests: Counter.Internal
  seconds: Histogram.Internal<string>
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Metrics of Node's process and of requests. Labels are bounded: routes are endpoints, odd methods are `OTHER`. */
export function createHttpMetrics(): HttpMetrics {
  const registry = new PromRegistry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const labelNames = ['route', 'method', 'status']
  const requests = new Counter({
    name: 'pinnace_http_requests_total',
    help: 'HTTP requests answered.',
    labelNames,
    registers
  })
  const inFlight = new Gauge({
    name: 'pinnace_http_requests_in_flight',
    help: 'HTTP requests being answered.',
    registers
  })
  const seconds = new Histogram({
    name: 'pinnace_http_request_duration_seconds',
    help: 'Time from the headers of a request to the end of its response.',
    labelNames,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers
  })
  const received = new Counter({
    name: 'pinnace_http_received_bytes_total',
    help: 'Bytes of request bodies.',
    registers
  })
  const limited = new Counter({
    name: 'pinnace_http_limited_total',
    help: 'Requests answered 429 for a limit of a single client (ipfs.limits.client).',
    labelNames: ['limit'],
    registers
  })
  const sent = new Counter({ name: 'pinnace_http_sent_bytes_total', help: 'Bytes of response bodies.', registers })

  // Labels are resolved once a series: doing it for each request costs more than routing it.
  const series = new Map<string, Series>()
  const seriesOf = (route: string, verb: string, status: number): Series => {
    const method = methods.has(verb) ? verb : 'OTHER'
    const key = `${route} ${method} ${status}`
    let known = series.get(key)
    if (known === undefined) {
      const labels = { route, method, status: String(status) }
      known = { requests: requests.labels(labels), seconds: seconds.labels(labels) }
      series.set(key, known)
    }
    return known
  }
  return {
    registry,
    started: () => inFlight.inc(),
    limited: limit => limited.inc({ limit }),
    finished(sample) {
      inFlight.dec()
      const of = seriesOf(sample.route, sample.method, sample.status)
      of.requests.inc()
      of.seconds.observe(sample.seconds)
      if (sample.received > 0) received.inc(sample.received)
      if (sample.sent > 0) sent.inc(sample.sent)
    }
  }
}
