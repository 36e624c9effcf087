import type { Status } from '../ui/status.tsx'
import type { LogLine } from '../ui/log-view.tsx'

export interface Machine {
  id: string
  status: Status
  word: string
  env: string
  provider: string
  place: string
  cpu: number | null
  trend: number[]
  memory: number | null
  disk: number | null
  version: string
  critical: number
  high: number
  seen: number
}

// A small generator with a fixed seed: pictures of the gallery are alike from run to run.
function dice(seed: number) {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296
    return state / 4_294_967_296
  }
}

const KINDS = ['pay-api', 'web-bff', 'cache', 'ingest', 'pg-ledger', 'edge'] as const
const PLACES = [
  ['aws', 'aws eu-central-1'],
  ['gcp', 'gcp asia-se1'],
  ['hetzner', 'hetzner nbg1'],
  ['docker', 'docker host-02'],
] as const
const WORDS: Partial<Record<Status, string>> = {
  running: 'Deploying',
  warning: 'Warning',
  failed: 'Failed',
  unknown: 'Silent',
  off: 'Suspended',
}

/** Machines that do not exist. */
export function machines(count: number): Machine[] {
  const roll = dice(7)
  return Array.from({ length: count }, (_, index) => {
    const chance = roll()
    const status: Status =
      chance > 0.985
        ? 'failed'
        : chance > 0.96
          ? 'warning'
          : chance > 0.95
            ? 'running'
            : chance > 0.94
              ? 'unknown'
              : chance > 0.92
                ? 'off'
                : 'ok'
    const [provider, place] = PLACES[Math.floor(roll() * PLACES.length)] ?? PLACES[0]
    const silent = status === 'unknown' || status === 'off'
    const base = status === 'failed' ? 88 : 10 + roll() * 55
    return {
      id: `${KINDS[Math.floor(roll() * KINDS.length)] ?? 'edge'}-${['eu', 'us', 'ap'][index % 3] ?? 'eu'}-${String(index).padStart(4, '0')}`,
      status,
      word: WORDS[status] ?? 'Healthy',
      env: ['production', 'staging', 'development'][index % 7 < 4 ? 0 : index % 7 < 6 ? 1 : 2] ?? 'production',
      provider,
      place,
      cpu: silent ? null : Math.round(base),
      trend: Array.from({ length: 24 }, () => Math.max(2, base + (roll() - 0.5) * 18)),
      memory: silent ? null : Math.round(20 + roll() * 70),
      disk: silent ? null : Math.round(15 + roll() * 81),
      version: `2026.11.${1 + Math.floor(roll() * 9)}`,
      critical: roll() > 0.8 ? 1 : 0,
      high: roll() > 0.8 ? 2 : 0,
      seen: Date.now() - Math.floor(roll() * 5000),
    }
  })
}

/** A walk of values, for charts. */
export function walk(length: number, start: number, step: number, seed: number): number[] {
  const roll = dice(seed)
  let value = start
  return Array.from({ length }, () => {
    value = Math.max(start * 0.6, Math.min(start * 1.5, value + (roll() - 0.5) * step))
    return Math.round(value * 10) / 10
  })
}

const TEXTS = [
  ['debug', 'checkout', 'http POST /v2/charges 201 118ms trace=4be1c09f'],
  ['warn', 'checkout', 'slow write wal_sync=612ms pool=ledger waiting=14'],
  ['debug', 'node-agent', 'metrics push 212 points 9.1kB ack=3ms'],
  ['error', 'checkout', 'charge rejected: deadline exceeded after 1000ms order=o_88213'],
  ['info', 'journald', 'rotated /var/log/checkout.log \u001b[33m2.1GB\u001b[0m in 18s'],
  ['debug', 'checkout', 'ledger.batch flush size=250 took=388ms shard=eu-7'],
] as const

/** Lines nobody wrote. */
export function logLines(count: number, until = Date.now()): LogLine[] {
  const roll = dice(11)
  return Array.from({ length: count }, (_, index) => {
    const [level, source, text] =
      TEXTS[Math.floor(roll() * roll() * TEXTS.length + (index % 3)) % TEXTS.length] ?? TEXTS[0]
    return { id: `l${index}`, at: until - (count - index) * 640, level, source, text }
  })
}
