import { type Body, Fault } from '@wheelhouse/contract'
import type { jobs } from '@wheelhouse/contract/jobs/jobs'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import { contextPointer, holdsSecretReference, type JobRequest, type Priority } from '../../kernel/jobs/index.ts'
import { contentHash } from '../../kernel/policy/index.ts'
import { requireOwnTenant } from '../tenants.ts'

export type SubmitBody = Body<(typeof jobs)['submitJob']>

const bad = (message: string): Fault => new Fault('VAL_SCHEMA', {}, { message })

const MAX_PROMPT_BYTES = 100_000
const PRIORITIES: readonly string[] = ['interactive', 'batch', 'critical'] satisfies Priority[]

/** The documented refusals, in their words (jobs.md §5). */
function check(body: SubmitBody): void {
  const { prompt, topic, actor_type: actorType, tags = [], labels = {}, deadline_ms: deadlineMs = 0 } = body
  if (prompt === undefined || prompt === '') throw bad('prompt is required')
  if (Buffer.byteLength(prompt) > MAX_PROMPT_BYTES) throw bad('prompt too long (>100000 chars)')
  if (topic !== undefined && !topic.startsWith('job.')) throw bad('topic must start with job.')
  if (topic !== undefined && !/^job\.[^\s*>]+$/.test(topic)) throw bad('topic must be a subject without wildcards')
  for (const tokens of [body.max_input_tokens, body.max_output_tokens, body.max_total_tokens])
    if (tokens !== undefined && tokens < 0) throw bad('token limits must be non-negative')
  if (deadlineMs < 0) throw bad('deadline_ms must be non-negative')
  if (actorType !== undefined && actorType !== '' && actorType !== 'human' && actorType !== 'service')
    throw bad("actor_type must be 'human' or 'service'")
  if (tags.length > 50) throw bad('too many tags (max 50)')
  if (Object.keys(labels).length > 50) throw bad('too many labels (max 50)')
}

const whole = (value: number | undefined, byDefault: number): number =>
  Math.min(Math.floor(value ?? byDefault), 2 ** 31 - 1)

const filled = <T extends Record<string, string | undefined>>(record: T): Record<string, string> =>
  Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  )

/** Of what the caller asked for, however its key came. */
export function digestOf({ idempotency_key: _key, ...asked }: SubmitBody): Buffer {
  return Buffer.from(contentHash(asked), 'hex')
}

/** A public submit as the kernel takes it: the request, and the context document that its pointer stands for. */
export function readSubmit(
  principal: Principal,
  body: SubmitBody,
  facts: { jobId: string; now: Instant; key: string | undefined },
): { request: JobRequest; context: string } {
  check(body)
  requireOwnTenant(principal, body.org_id, body.tenant_id)
  const { jobId, now, key } = facts
  const topic = body.topic ?? 'job.default'
  const priority = PRIORITIES.includes(body.priority ?? '') ? (body.priority as Priority) : 'interactive'
  const context = body.context ?? body.input
  const secrets = holdsSecretReference(body.prompt) || holdsSecretReference(context)
  const labels = { ...body.labels, ...(secrets ? { secrets_present: 'true' } : {}) }
  const riskTags = [...new Set([...(body.risk_tags ?? []), ...(secrets ? ['secrets'] : [])])]
  const memoryId = body.memory_id ?? `mem:${jobId}`
  const maxInputTokens = whole(body.max_input_tokens, 8000)
  const maxOutputTokens = whole(body.max_output_tokens, 1024)
  const request: JobRequest = {
    topic,
    priority,
    tenant: principal.tenantSlug,
    principalId: principal.subject,
    ...(body.adapter_id === undefined ? {} : { adapterId: body.adapter_id }),
    memoryId,
    ...filled({ parentJobId: body.parent_job_id }),
    contextPtr: contextPointer(jobId),
    env: {
      tenant_id: principal.tenantSlug,
      memory_id: memoryId,
      max_input_tokens: String(maxInputTokens),
      max_output_tokens: String(maxOutputTokens),
      ...filled({ team_id: body.team_id, project_id: body.project_id, context_mode: body.context_mode }),
    },
    labels,
    contextHints: {
      maxInputTokens,
      allowSummarization: body.allow_summarization ?? false,
      allowRetrieval: body.allow_retrieval ?? false,
      tags: body.tags ?? [],
    },
    budget: {
      maxInputTokens,
      maxOutputTokens,
      maxTotalTokens: whole(body.max_total_tokens, 0),
      deadlineMs: whole(body.deadline_ms, 0),
    },
    meta: {
      actorId: body.actor_id ?? principal.subject,
      ...(body.actor_type === 'human' || body.actor_type === 'service' ? { actorType: body.actor_type } : {}),
      ...filled({ idempotencyKey: key, capability: body.capability, packId: body.pack_id }),
      riskTags,
      requires: body.requires ?? [],
      labels,
    },
  }
  const document = {
    prompt: body.prompt,
    adapter_id: body.adapter_id ?? '',
    priority,
    topic,
    created_at: iso(now),
    tenant_id: principal.tenantSlug,
    ...(context === undefined ? {} : { context }),
  }
  return { request, context: JSON.stringify(document) }
}
