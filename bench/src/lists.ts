import { asEngine, type Ground } from './ground.ts'
import { oneByOne } from './load.ts'
import { type Figure, median, ms } from './report.ts'

const TIMES = 200

async function page(ground: Ground, path: string): Promise<void> {
  const response = await fetch(`${ground.url}${path}`, { headers: { authorization: `Bearer ${ground.apiKey}` } })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`${path} answered ${response.status}`)
}

/** Fills the jobs of the first tenant with ended ones, straight into the table: only their reading is measured. */
export async function fill(ground: Ground, from: number, to: number): Promise<void> {
  await asEngine(ground, (client) =>
    client.query(
      `insert into jobs (tenant_id, id, trace_id, topic, state, updated_us, created_at, request, principal_id, principal_hash, decision_id, ended_at)
     select t.id, 'bench-' || n, 'trace-' || (n / 10), case when n <= 2 then 'job.bench.rare' else 'job.bench.' || (n % 20) end, case when n % 50 = 0 then 'failed' else 'succeeded' end,
            1700000000000000 + n * 1000, to_timestamp(1700000000 + n / 1000.0), '{"topic":"job.bench"}', p.id, '\\x00', t.id, now()
       from generate_series($2::int, $3::int) as n, tenants t
       cross join lateral (select id from principals where tenant_id = t.id limit 1) p where t.slug = $1 on conflict do nothing`,
      [ground.tenant, from, to],
    ),
  )
  await ground.pool.query('analyze jobs')
}

/** As many jobs that wait, for a pool that nobody serves. */
async function fillWaiting(ground: Ground, from: number, to: number): Promise<void> {
  await asEngine(ground, async (client) => {
    await client.query(
      `insert into jobs (tenant_id, id, trace_id, topic, updated_us, created_at, request, principal_id, principal_hash, decision_id)
       select tenant_id, 'waits-' || n, 'waits', 'job.bench.waits', updated_us + n, created_at, request, principal_id, principal_hash, decision_id
         from jobs, generate_series($1::int, $2::int) as n where id = 'bench-1'`,
      [from, to],
    )
    await client.query(
      `insert into job_queue (tenant_id, id, pool, priority, n, state, timeout_ms, topic, principal_id)
       select tenant_id, id, 'nobody', 2, updated_us, 'ready', 1000, topic, principal_id from jobs j
        where topic = 'job.bench.waits' and not exists (select from job_queue q where q.tenant_id = j.tenant_id and q.id = j.id)`,
    )
  })
  await ground.pool.query('analyze job_queue')
}

const PAGES: readonly { name: string; path: string }[] = [
  { name: 'first page of jobs', path: '/api/v1/jobs?limit=50' },
  { name: 'by state', path: '/api/v1/jobs?limit=50&state=FAILED' },
  { name: 'those that wait (1,000, then 100,000)', path: '/api/v1/jobs?limit=50&state=PENDING' },
  { name: 'by a topic that has two', path: '/api/v1/jobs?limit=50&topic=job.bench.rare' },
  { name: 'by a team that has none', path: '/api/v1/jobs?limit=50&team=nobody' },
  { name: 'by a trace', path: '/api/v1/jobs?limit=50&trace_id=trace-7' },
]

/** The first pages of jobs, filtered and not, with 1,000 rows and with a million: they must cost the same. */
export async function listFigures(ground: Ground): Promise<Figure[]> {
  const measure = async (): Promise<number[]> => {
    const found: number[] = []
    for (const { path } of PAGES) {
      await oneByOne(20, () => page(ground, path))
      found.push(median(await oneByOne(TIMES, () => page(ground, path))))
    }
    return found
  }
  await fill(ground, 1, 1_000)
  await fillWaiting(ground, 1, 1_000)
  const small = await measure()
  for (let n = 1_000; n < 1_000_000; n += 111_000) await fill(ground, n + 1, Math.min(n + 111_000, 1_000_000))
  await fillWaiting(ground, 1_001, 100_000)
  const large = await measure()
  return PAGES.map(({ name }, index) => {
    const [many = 0, few = 0] = [large[index], small[index]]
    return {
      section: 'Lists',
      name: index === 0 ? `${name} at 1,000,000 rows, p50` : `the same, ${name}`,
      ours: ms(many),
      beside: `${ms(few)} at 1,000 rows`,
      ratio: many / few,
      bar: { atMost: 1.5 },
    }
  })
}
