import { storesOf } from '../../apps/server/src/fleet/telemetry/stores.ts'
import { ids } from '../../apps/server/src/kernel/clock/index.ts'
import type { Kernel } from '../../apps/server/src/kernel/kernel.ts'
import type { Ground } from './ground.ts'
import { load, many } from './load.ts'
import { type Figure, perSecond } from './report.ts'

const WORDS = [
  'request',
  'accepted',
  'connection',
  'closed',
  'worker',
  'retry',
  'timeout',
  'payment',
  'user',
  'cache',
  'miss',
  'shard',
  'leader',
]
const LINES = 1000
const BATCHES = 60
const SAMPLES = 60_000

const message = (n: number): string =>
  `${WORDS[n % 13]} ${n} ${WORDS[(n * 7) % 13]} id=${(n * 2654435761) % 1_000_003} took ${n % 977} ms on ${WORDS[(n * 5) % 13]}`

/** The same rows, with the same indexes and the same text search, without tenants' security, counts, live tails or checks. */
async function rawLogs({ pool }: Ground): Promise<number> {
  await pool.query(`create table raw_logs (tenant_id uuid not null, at timestamptz not null, id uuid not null, instance_id text not null, level text not null,
      source text not null, message text not null, metadata jsonb, deployment_id text, primary key (tenant_id, at, id)) partition by range (at);
    create table raw_logs_1 partition of raw_logs default;
    create index on raw_logs (tenant_id, instance_id, at desc, id desc);
    create index on raw_logs (tenant_id, level, at desc, id desc);
    create index on raw_logs (tenant_id, source, at desc, id desc);
    create index on raw_logs using gin (to_tsvector('simple', message))`)
  const tenant = ids.next()
  return (
    LINES *
    (await many(2, BATCHES, async (batch) => {
      const rows = Array.from({ length: LINES }, (_, i) => batch * LINES + i)
      await pool.query({
        name: 'raw_logs',
        text: `insert into raw_logs select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::text[])`,
        values: [
          rows.map(() => tenant),
          rows.map(() => new Date()),
          rows.map(() => ids.next()),
          rows.map((n) => `host-${n % 50}`),
          rows.map((n) => (n % 20 === 0 ? 'ERROR' : 'INFO')),
          rows.map(() => 'APP'),
          rows.map(message),
          rows.map(() => null),
          rows.map(() => null),
        ],
      })
    }))
  )
}

const entries = (batch: number) =>
  Array.from({ length: LINES }, (_, i) => {
    const n = batch * LINES + i
    return {
      instanceId: 'bench-host',
      level: n % 20 === 0 ? ('ERROR' as const) : ('INFO' as const),
      source: 'APP' as const,
      message: message(n),
    }
  })

function sample(n: number) {
  return {
    instanceId: 'bench-host',
    at: Date.now() - (n % 60_000),
    cpuPercent: n % 100,
    loadAvg1: 1,
    loadAvg5: 1,
    loadAvg15: 1,
    cpuSteal: 0,
    coreCount: 2,
    memUsed: n,
    memTotal: 1e10,
    memCached: 1e9,
    swapUsed: 0,
    swapTotal: 0,
    diskUsed: 1e9,
    diskTotal: 1e11,
    diskReadBytes: n,
    diskWriteBytes: n,
    netBytesSent: n,
    netBytesRecv: n,
    netPacketsSent: n,
    netPacketsRecv: n,
    processCount: 100,
    uptimeSeconds: n,
  }
}

async function rawMetrics({ pool }: Ground): Promise<number> {
  await pool.query(`create table raw_metrics (like metrics including defaults, primary key (tenant_id, at, id)) partition by range (at);
    create table raw_metrics_1 partition of raw_metrics default;
    create index on raw_metrics (tenant_id, instance_id, at desc, id desc)`)
  const tenant = ids.next()
  const columns = Object.keys(sample(0)).filter((name) => name !== 'instanceId' && name !== 'at') as (keyof ReturnType<
    typeof sample
  >)[]
  const names = columns.map((name) => name.replace(/[A-Z]|\d+$/g, (part) => `_${part.toLowerCase()}`))
  const text = `insert into raw_metrics (tenant_id, at, id, instance_id, ${names.join(', ')}) select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[],
    ${names.map((name, i) => `$${i + 5}::${name.startsWith('load') || name.startsWith('cpu') ? 'float8' : name === 'core_count' || name === 'process_count' ? 'int' : 'bigint'}[]`).join(', ')})`
  return (
    LINES *
    (await many(2, SAMPLES / LINES, async (batch) => {
      const rows = Array.from({ length: LINES }, (_, i) => sample(batch * LINES + i))
      await pool.query({
        name: 'raw_metrics',
        text,
        values: [
          rows.map(() => tenant),
          rows.map((row) => new Date(row.at)),
          rows.map(() => ids.next()),
          rows.map((row) => row.instanceId),
          ...columns.map((name) => rows.map((row) => row[name])),
        ],
      })
    }))
  )
}

export async function ingestFigures(ground: Ground, kernel: Kernel): Promise<Figure[]> {
  const registered = await fetch(`${ground.url}/api/v1/instances`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ground.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      instance_id: 'bench-host',
      hostname: 'bench-host',
      provider: 'ssh',
      region: 'local',
      agent_version: 'bench',
    }),
  })
  if (!registered.ok)
    throw new Error(`The instance of the benchmark was refused: ${registered.status} ${await registered.text()}`)
  const { rows } = await ground.pool.query<{ id: string }>('select id from tenants where slug = $1', [ground.tenant])
  const tenantId = rows[0]?.id ?? ''
  const stores = storesOf(kernel)
  const rawLogRate = await rawLogs(ground)
  const logRate = LINES * (await many(2, BATCHES, (batch) => stores.logs.add(tenantId, entries(batch))))
  const overHttp = await load(ground.url, ground.apiKey, {
    path: '/api/v1/logs/ingest/batch',
    method: 'POST',
    connections: 2,
    seconds: 6,
    body: (n) => JSON.stringify({ entries: entries(n) }),
  })
  const rawMetricRate = await rawMetrics(ground)
  const metricRate = await many(2000, SAMPLES, (n) => stores.metrics.addSample(tenantId, sample(n)))
  const section = 'Telemetry'
  return [
    {
      section,
      name: 'log lines stored, indexed and searchable',
      ours: perSecond(logRate),
      beside: `${perSecond(rawLogRate)} raw indexed insert`,
      ratio: logRate / rawLogRate,
      bar: { atLeast: 0.6 },
    },
    {
      section,
      name: 'the same over HTTP, 1,000 a request',
      ours: perSecond(overHttp.perSecond * LINES),
      beside: `${perSecond(rawLogRate)} raw indexed insert`,
      ratio: (overHttp.perSecond * LINES) / rawLogRate,
    },
    {
      section,
      name: 'metric samples (25 columns)',
      ours: perSecond(metricRate),
      beside: `${perSecond(rawMetricRate)} raw indexed insert`,
      ratio: metricRate / rawMetricRate,
      bar: { atLeast: 0.6 },
    },
  ]
}
