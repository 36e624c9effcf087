import { asEngine, type Ground } from './ground.ts'
import { oneByOne } from './load.ts'
import { type Figure, median, ms } from './report.ts'

const PAGES = 200

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
     select t.id, 'bench-' || n, 'trace-' || (n / 10), 'job.bench.' || (n % 20), case when n % 50 = 0 then 'failed' else 'succeeded' end,
            1700000000000000 + n * 1000, to_timestamp(1700000000 + n / 1000.0), '{"topic":"job.bench"}', p.id, '\\x00', t.id, now()
       from generate_series($2::int, $3::int) as n, tenants t
       cross join lateral (select id from principals where tenant_id = t.id limit 1) p where t.slug = $1 on conflict do nothing`,
      [ground.tenant, from, to],
    ),
  )
  await ground.pool.query('analyze jobs')
}

export async function listFigures(ground: Ground): Promise<Figure[]> {
  const first = '/api/v1/jobs?limit=50'
  const failed = '/api/v1/jobs?limit=50&state=FAILED'
  const measure = async (path: string): Promise<number> => {
    await oneByOne(20, () => page(ground, path))
    return median(await oneByOne(PAGES, () => page(ground, path)))
  }
  await fill(ground, 1, 1_000)
  const small = { first: await measure(first), failed: await measure(failed) }
  for (let n = 1_000; n < 1_000_000; n += 111_000) await fill(ground, n + 1, Math.min(n + 111_000, 1_000_000))
  const large = { first: await measure(first), failed: await measure(failed) }
  const section = 'Lists'
  return [
    {
      section,
      name: 'first page of jobs at 1,000,000 rows, p50',
      ours: ms(large.first),
      beside: `${ms(small.first)} at 1,000 rows`,
      ratio: large.first / small.first,
      bar: { atMost: 1.5 },
    },
    {
      section,
      name: 'the same, filtered by state',
      ours: ms(large.failed),
      beside: `${ms(small.failed)} at 1,000 rows`,
      ratio: large.failed / small.failed,
      bar: { atMost: 1.5 },
    },
  ]
}
