import type { Instant } from '../clock/index.ts'
import { at, sql, type Tx } from '../db/index.ts'
import type { Effect, RunEvent } from './state.ts'
import { stepReference } from './step-approval.ts'
import { childOutputs } from './step-rows.ts'

/** Children's outputs together stand in their parent up to this size, else behind a pointer. */
const COLLECT_BYTES = 1024 * 1024
/** What is beyond so much of children's outputs is named by its pointer: ten thousand of the largest would not fit into memory. */
const COLLECTED_BYTES = 16 * 1024 * 1024
const OMITTED = JSON.stringify({ omitted: 'the outputs of the items are larger than 16 MiB together' })

/** Reads what the children of a step gave, as their rows have it, for the engine's pure half. */
export async function collectChildren(
  tx: Tx,
  runId: string,
  { step, last = false }: Extract<Effect, { kind: 'collect-children' }>,
  now: Instant,
  lifeMs: number,
): Promise<Extract<RunEvent, { kind: 'children-collected' }>> {
  const rows = await childOutputs(tx, runId, step, { last, mostBytes: COLLECTED_BYTES })
  const texts = rows.map(
    ({ output, resultPtr, omitted }) =>
      output ?? (resultPtr === null ? (omitted ? OMITTED : 'null') : JSON.stringify({ result_ptr: resultPtr })),
  )
  const text = last ? (texts[0] ?? 'null') : `[${texts.join(',')}]`
  if (text.length <= COLLECT_BYTES) return { kind: 'children-collected', step, output: JSON.parse(text) as unknown }
  const key = `res:${stepReference(runId, step)}`
  await tx.run(sql`
    insert into job_values (tenant_id, key, body, expires_at)
    values (${tx.tenantId}, ${key}, ${Buffer.from(text)}, ${at(now + lifeMs)})
    on conflict (tenant_id, key) do update set body = excluded.body, expires_at = excluded.expires_at`)
  return { kind: 'children-collected', step, resultPtr: `redis://${key}` }
}
