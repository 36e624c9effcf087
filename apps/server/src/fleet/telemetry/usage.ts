import { createHash } from 'node:crypto'
import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import { at, sql, storable, type Tx } from '../../kernel/db/index.ts'

type LlmRecord = AgentPayload<'llm_usage:batch'>['records'][number]

/** Stores what an agent saw of language models. A batch that is sent again after a failure is stored once (fleet.md §3.16). */
export async function addUsage(
  tx: Tx,
  instanceId: string,
  records: readonly LlmRecord[],
  now: Instant,
): Promise<number> {
  const rows = records.map((record) => ({
    ...record,
    id: ids.next(),
    at: Math.min(record.ts, now),
    micros: Math.round(record.costUsd * 1_000_000),
    fingerprint: createHash('sha256')
      .update(JSON.stringify(Object.entries(record).toSorted()))
      .digest(),
  }))
  const texts = (pick: (row: LlmRecord) => string | undefined) =>
    rows.map((row) => {
      const text = pick(row)
      return text === undefined ? null : storable(text)
    })
  return tx.run(sql`
    insert into llm_usage (tenant_id, id, instance_id, at, provider, model, operation, input_tokens, output_tokens, cache_read_tokens,
                           cache_write_tokens, cost_micros, source, capture_tier, trace_id, fingerprint)
    select ${tx.tenantId}::uuid, id, ${instanceId}::text, at, provider, model, operation, input, output, cache_read, cache_write, cost, 'agent', tier, trace, fingerprint
      from unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => at(row.at))}::timestamptz[], ${texts((row) => row.provider)}::text[],
                  ${texts((row) => row.model)}::text[], ${texts((row) => row.operation)}::text[], ${rows.map((row) => row.inputTokens)}::bigint[],
                  ${rows.map((row) => row.outputTokens)}::bigint[], ${rows.map((row) => row.cacheReadTokens ?? null)}::bigint[],
                  ${rows.map((row) => row.cacheWriteTokens ?? null)}::bigint[], ${rows.map((row) => row.micros)}::bigint[],
                  ${texts((row) => row.captureTier)}::text[], ${texts((row) => row.traceId)}::text[], ${rows.map((row) => row.fingerprint)}::bytea[])
        as record (id, at, provider, model, operation, input, output, cache_read, cache_write, cost, tier, trace, fingerprint)
    on conflict (tenant_id, instance_id, fingerprint) do nothing`)
}
