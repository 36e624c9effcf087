import type { Surface } from '@wheelhouse/contract'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Bus } from '../bus/index.ts'
import type { DomainEvent } from '../events/index.ts'

/** One answered request. */
export interface Seen {
  surface: Surface
  method: string
  /** The declared path: never what the caller wrote. */
  route: string
  status: number
  seconds: number
}

/** What this process counts for Prometheus. Counters begin at zero with it; sums over replicas are the installation's. */
export interface Metrics {
  request(seen: Seen): void
  /** A job was handed to a worker or to its verb. */
  dispatched(topic: string): void
  /** Events as they are sealed, which one replica does for all. */
  sealed(events: readonly DomainEvent[]): void
  /** The document, in the text format. */
  text(): Promise<string>
  contentType: string
}

/** Callers choose topics, so only so many are told apart. */
const MAX_TOPICS = 200
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** jobs.md §17.1: what the document's clients call the ends. */
const ENDS: Readonly<Record<string, string>> = {
  'job.succeeded': 'SUCCEEDED',
  'job.failed': 'FAILED',
  'job.cancelled': 'CANCELLED',
  'job.timed_out': 'TIMEOUT',
  'job.denied': 'DENIED',
}

/** Opens both families in one registry (decisions D8): `cordum_…` as documented in jobs.md §4, and `wheelhouse_…`. */
export function openMetrics(bus: () => ReturnType<Bus['status']>): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'wheelhouse_' })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Histogram({ name, help, labelNames, buckets: BUCKETS, registers })

  const gateway = counter('cordum_api_gateway_http_requests_total', 'Requests on the jobs surface', [
    'method',
    'route',
    'status',
  ])
  const gatewaySeconds = histogram(
    'cordum_api_gateway_http_request_duration_seconds',
    'Time to answer on the jobs surface',
    ['method', 'route'],
  )
  const all = counter('wheelhouse_http_requests_total', 'Requests', ['surface', 'method', 'route', 'status'])
  const allSeconds = histogram('wheelhouse_http_request_duration_seconds', 'Time to answer', ['surface'])
  const received = counter('cordum_scheduler_jobs_received_total', 'Jobs submitted', ['topic'])
  const dispatched = counter('cordum_scheduler_jobs_dispatched_total', 'Jobs handed to a worker', ['topic'])
  const completed = counter('cordum_scheduler_jobs_completed_total', 'Jobs that ended', ['topic', 'status'])
  const denied = counter('cordum_scheduler_safety_denied_total', 'Jobs that policy denied', ['topic'])
  registry.registerMetric(
    new Gauge({
      name: 'wheelhouse_bus_connected',
      help: 'Whether this process is connected to NATS',
      registers: [],
      collect() {
        this.set(bus().state === 'CONNECTED' ? 1 : 0)
      },
    }),
  )

  const topics = new Set<string>()
  function known(topic: unknown): string {
    if (typeof topic !== 'string') return 'other'
    if (!topics.has(topic) && topics.size >= MAX_TOPICS) return 'other'
    topics.add(topic)
    return topic
  }

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    request({ surface, method, route, status, seconds }) {
      all.inc({ surface, method, route, status: String(status) })
      allSeconds.observe({ surface }, seconds)
      if (surface !== 'jobs') return
      gateway.inc({ method, route, status: String(status) })
      gatewaySeconds.observe({ method, route }, seconds)
    },
    dispatched: (topic) => dispatched.inc({ topic: known(topic) }),
    sealed(events) {
      for (const { type, data } of events) {
        if (!type.startsWith('job.')) continue
        const topic = known(data['topic'])
        // A submission's own event says what policy decided; that of an end does not.
        if (data['decision'] !== undefined) received.inc({ topic })
        const status = ENDS[type]
        if (status !== undefined) completed.inc({ topic, status })
        if (type === 'job.denied') denied.inc({ topic })
      }
    },
  }
}
