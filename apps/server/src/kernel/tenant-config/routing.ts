/** jobs.md 17.3: which pools serve a topic, and what each pool provides. */
export interface PoolConfig {
  topics: Readonly<Record<string, readonly string[]>>
  pools: Readonly<Record<string, { requires: readonly string[] }>>
}

/** jobs.md 17.5. Absent values are the built-in ones. */
export interface TimeoutConfig {
  topics: Readonly<Record<string, { timeoutMs?: number; maxRetries?: number }>>
  workflows: Readonly<Record<string, { childTimeoutMs?: number; totalTimeoutMs?: number; maxRetries?: number }>>
  /** An attempt runs at most this long where nothing says otherwise. */
  runningTimeoutMs: number
}

/** What the scheduler goes by: keys `pools` and `timeouts` of the document system/default. */
export interface Routing {
  /** Null: the tenant has configured none, and topics find their workers by themselves. */
  pools: PoolConfig | null
  timeouts: TimeoutConfig
}

/** An attempt runs at most this long where the `reconciler` block is absent, and where it is there without this field. */
const RUNNING_TIMEOUT_MS = 9_000_000
const FILLED_RUNNING_TIMEOUT_MS = 300_000

type Written = Readonly<Record<string, unknown>>

const record = (value: unknown): Written => (typeof value === 'object' && value !== null ? (value as Written) : {})
const entries = (value: unknown): [string, Written][] =>
  Object.entries(record(value)).map(([name, each]) => [name, record(each)])
const texts = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Array.isArray(value) ? value.map(String) : []

/** Zero counts as absent, as the reference's types have it. */
function positive(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined
}

const member = <K extends string>(name: K, value: number | undefined): { [P in K]?: number } =>
  value === undefined ? {} : ({ [name]: value } as { [P in K]?: number })

const seconds = (value: unknown): number | undefined => {
  const count = positive(value)
  return count === undefined ? undefined : count * 1000
}

/** Reads the checked values of a document system/default. Missing keys are the built-in ones. */
export function routingOf(data: Written): Routing {
  const { pools, timeouts } = data
  return { pools: pools === undefined ? null : poolsOf(record(pools)), timeouts: timeoutsOf(record(timeouts)) }
}

function poolsOf(value: Written): PoolConfig {
  return {
    topics: Object.fromEntries(Object.entries(record(value['topics'])).map(([topic, names]) => [topic, texts(names)])),
    pools: Object.fromEntries(
      entries(value['pools']).map(([name, { requires }]) => [name, { requires: texts(requires) }]),
    ),
  }
}

function timeoutsOf(value: Written): TimeoutConfig {
  const { reconciler } = value
  return {
    topics: Object.fromEntries(
      entries(value['topics']).map(([topic, each]) => [
        topic,
        {
          ...member('timeoutMs', seconds(each['timeout_seconds'])),
          ...member('maxRetries', positive(each['max_retries'])),
        },
      ]),
    ),
    workflows: Object.fromEntries(
      Object.entries(record(value['workflows'])).map(([id, each]) => {
        // A bare number is the whole run's time, as packs of the reference write it (jobs.md 24.2, fix).
        const { child_timeout_seconds, total_timeout_seconds, max_retries } =
          typeof each === 'number' ? { total_timeout_seconds: each } : record(each)
        return [
          id,
          {
            ...member('childTimeoutMs', seconds(child_timeout_seconds)),
            ...member('totalTimeoutMs', seconds(total_timeout_seconds)),
            ...member('maxRetries', positive(max_retries)),
          },
        ]
      }),
    ),
    runningTimeoutMs:
      seconds(record(reconciler)['running_timeout_seconds']) ??
      (Object.keys(record(reconciler)).length > 0 ? FILLED_RUNNING_TIMEOUT_MS : RUNNING_TIMEOUT_MS),
  }
}
