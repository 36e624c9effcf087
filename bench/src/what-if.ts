import { setTimeout as pause } from 'node:timers/promises'
import type { WhatIfReply } from '../../packages/contract/src/native/policy.ts'
import { call } from './call.ts'
import { asEngine, type Ground } from './ground.ts'
import { type Figure, ms, quantile } from './report.ts'

const DECISIONS = 1_000_000
/** The bar: one million stored decisions in so many milliseconds. */
const BAR_MS = 30_000
/** Between two of the other requests that are asked meanwhile. */
const OTHERS_MS = 50

/** 200 rules, of which some change what the filled decisions got. */
const DRAFT = [
  'rules:',
  ...Array.from({ length: 196 }, (_, i) => {
    const match = `{ topics: ['job.team${i}.*'], labels: { env: 'e${i}' } }`
    return `  - { id: r${i}, match: ${match}, decision: deny, reason: no }`
  }),
  `  - { id: prod, match: { topics: ['job.replay.1*'], labels: { env: e1 } }, decision: require_approval, reason: look }`,
  `  - { id: exec, match: { risk_tags: [exec], capabilities: [c3] }, decision: deny, reason: no }`,
  `  - { id: far, match: { facts: { reach.instances: { gt: 90 } } }, decision: require_approval, reason: far }`,
  `  - { id: bounded, match: { topics: ['job.replay.*'] }, decision: allow, constraints: { budgets: { max_retries: 1 } } }`,
].join('\n')

/** Ended jobs with their decisions, straight into the tables; `unlike`: each has a label of its own, so that none is asked twice. */
async function fill(ground: Ground, mark: string, day: string, unlike: boolean): Promise<void> {
  const { pool, tenant } = ground
  const {
    rows: [of],
  } = await pool.query<{ id: string }>('select id from tenants where slug = $1', [tenant])
  await asEngine(ground, async (client) => {
    await client.query(
      `insert into facts (tenant_id, hash, body)
     select $1::uuid, sha256(n::text::bytea), jsonb_build_object('reach', jsonb_build_object('instances', n % 100), 'instance', jsonb_build_object('id', n))
       from generate_series(1, 10000) as n on conflict do nothing`,
      [of?.id],
    )
    for (let from = 1; from <= DECISIONS; from += 100_000) {
      await client.query(
        `with made as (
         insert into jobs (tenant_id, id, trace_id, topic, state, updated_us, created_at, request, principal_id, principal_hash, decision_id, ended_at)
         select $1::uuid, $2 || n, 'trace-' || n, 'job.replay.' || (n % 20), 'succeeded', n, $3::timestamptz + n * interval '1 millisecond',
                jsonb_build_object('topic', 'job.replay.' || (n % 20), 'tenant', $5::text, 'principalId', 'p' || (n % 10), 'contextPtr', 'redis://ctx:' || $2 || n,
                  'labels', jsonb_build_object('env', 'e' || (n % 5), 'team', 't' || (n % 7)) || case when $6 then jsonb_build_object('build', n::text) else '{}' end,
                  'meta', jsonb_build_object('actorId', 'p' || (n % 10), 'actorType', 'service', 'capability', 'c' || (n % 4), 'riskTags', jsonb_build_array('exec', 'write'), 'idempotencyKey', 'k' || n)),
                $1::uuid, '\\x00', $1::uuid, now()
           from generate_series($4::int, $4::int + 99999) as n returning id, created_at)
       insert into decisions (tenant_id, job_id, id, at, decision, snapshot, body, facts_hash)
       select $1::uuid, id, gen_random_uuid(), created_at, 'ALLOW', 'bench', null,
              case when $6 then sha256((1 + substr(id, length($2) + 1)::int % 10000)::text::bytea) end
         from made`,
        [of?.id, mark, day, from, tenant, unlike],
      )
    }
  })
  await pool.query('analyze jobs')
  await pool.query('analyze decisions')
}

interface Replayed {
  tookMs: number
  replayed: number
  distinct: number
  /** Of other requests while it ran. */
  waits: number[]
}

async function whatIf(ground: Ground, day: string): Promise<Replayed> {
  const until = new Date(Date.parse(day) + 86_400_000).toISOString()
  const total = { replayed: 0, distinct: 0 }
  const waits: number[] = []
  const over = new AbortController()
  const others = (async () => {
    while (!over.signal.aborted) {
      const asked = performance.now()
      await call(ground, 'GET', '/api/v1/jobs?limit=1')
      waits.push(performance.now() - asked)
      await pause(OTHERS_MS)
    }
  })()
  const started = performance.now()
  for (let cursor: string | null = ''; cursor !== null;) {
    const reply: WhatIfReply = await call(ground, 'POST', '/wheelhouse/api/v1/policy/what-if', {
      draft: { bundles: [{ id: 'secops/bench', content: DRAFT }] },
      from: day,
      until,
      budgetMs: 25_000,
      ...(cursor === '' ? {} : { cursor }),
    })
    total.replayed += reply.replayed
    total.distinct += reply.distinct
    cursor = reply.cursor
  }
  const tookMs = performance.now() - started
  over.abort()
  await others
  return { ...total, tookMs, waits }
}

/** A draft replayed over a million stored decisions: of few questions, as automation asks them, and each another. */
export async function whatIfFigures(ground: Ground): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [name, mark, day, unlike] of [
    ['140 different questions', 'alike-', '2022-01-01T00:00:00.000Z', false],
    ['all different, with facts', 'unlike-', '2022-02-01T00:00:00.000Z', true],
  ] as const) {
    await fill(ground, mark, day, unlike)
    const { tookMs, replayed, distinct, waits } = await whatIf(ground, day)
    if (replayed !== DECISIONS) throw new Error(`Replayed ${replayed} of ${DECISIONS}`)
    figures.push({
      section: 'What-if',
      name: `1,000,000 stored decisions under 200 rules, ${name}`,
      ours: `${(tookMs / 1000).toFixed(1)} s`,
      beside: '30 s',
      ratio: tookMs / BAR_MS,
      bar: { atMost: 1 },
      note: `${distinct.toLocaleString('en')} questions were asked. Meanwhile a list of jobs took ${ms(quantile(waits, 0.5))} at the median and ${ms(quantile(waits, 0.99))} at p99.`,
    })
  }
  return figures
}
