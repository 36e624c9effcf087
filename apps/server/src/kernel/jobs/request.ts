import { createHash } from 'node:crypto'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { ActorType, JobPriority, JobRequestSchema, type JobRequest as Packet } from '@wheelhouse/contract/proto/cap_pb'
import {
  type Constraints,
  constraintsMessage,
  EFFECTIVE_CONFIG,
  type Facts,
  jobHash,
  type PolicyRequest,
} from '../policy/index.ts'
import { contextText, readTraceparent, runSpanId } from '../traces/index.ts'
import type { ConfigPlace } from '../tenant-config/index.ts'

export type Priority = 'interactive' | 'batch' | 'critical'

/**
 * What is asked for, as it is stored and as its hash covers it. It does not change after the submit, but for the labels that an
 * approval adds, which the hash leaves out (jobs.md 17.7). Absent members mean the protocol's defaults.
 */
export interface JobRequest {
  topic: string
  priority?: Priority
  adapterId?: string
  env?: Readonly<Record<string, string>>
  labels?: Readonly<Record<string, string>>
  parentJobId?: string
  workflowId?: string
  stepIndex?: number
  memoryId?: string
  contextHints?: {
    maxInputTokens?: number
    allowSummarization?: boolean
    allowRetrieval?: boolean
    tags?: readonly string[]
  }
  budget?: { maxInputTokens?: number; maxOutputTokens?: number; maxTotalTokens?: number; deadlineMs?: number }
  /** The tenant's slug, as the jobs surface shows it. */
  tenant: string
  /** A label: whom the caller names. Identity is the principal of the job. */
  principalId: string
  contextPtr?: string
  /** W3C trace context of the request that submitted it. */
  traceparent?: string
  verb?: string
  meta?: {
    actorId?: string
    actorType?: 'human' | 'service'
    idempotencyKey?: string
    capability?: string
    packId?: string
    riskTags?: readonly string[]
    requires?: readonly string[]
    labels?: Readonly<Record<string, string>>
  }
}

const PRIORITY = {
  interactive: { wire: JobPriority.INTERACTIVE, rank: 2 },
  batch: { wire: JobPriority.BATCH, rank: 1 },
  critical: { wire: JobPriority.CRITICAL, rank: 3 },
} as const

/** Higher is claimed earlier. */
export const rankOf = (request: JobRequest): number => PRIORITY[request.priority ?? 'interactive'].rank

export const contextPointer = (jobId: string): string => `redis://ctx:${jobId}`
export const resultPointer = (jobId: string): string => `redis://res:${jobId}`

/** Whose configuration counts for it (jobs.md 17.2 step 5). */
export const placeOf = ({ env, workflowId }: JobRequest): ConfigPlace => ({
  teamId: env?.['team_id'],
  workflowId,
  stepId: env?.['step_id'],
})

/** What policy is asked about this request. */
export function policyRequest(jobId: string, request: JobRequest, facts?: Facts): PolicyRequest {
  const { meta = {} } = request
  return {
    topic: request.topic,
    jobId,
    tenant: request.tenant,
    principalId: request.principalId,
    labels: request.labels ?? null,
    meta: {
      tenantId: request.tenant,
      actorId: meta.actorId ?? request.principalId,
      actorType: meta.actorType ?? null,
      capability: meta.capability ?? null,
      packId: meta.packId ?? null,
      riskTags: meta.riskTags ?? null,
      requires: meta.requires ?? null,
      labels: meta.labels ?? null,
    },
    verb: request.verb ?? null,
    effectiveConfig: facts?.[EFFECTIVE_CONFIG] ?? null,
    facts: facts ?? null,
  }
}

/** The hash that an approval binds: the whole request and the content that its context pointer stands for. */
export const requestHash = (request: JobRequest, context: string | null): string =>
  jobHash({
    ...withoutTrace(request),
    contextDigest: context === null ? '' : createHash('sha256').update(context).digest('hex'),
  })

/** Under which trace it was asked for is no part of what was asked for. */
const withoutTrace = ({ traceparent: _traceparent, ...request }: JobRequest): JobRequest => request

/** Whether two submissions with the same key ask for the same. */
export const requestDigest = (request: JobRequest, context: string | null): Buffer =>
  createHash('sha256')
    .update(
      JSON.stringify([
        request.topic,
        request.priority,
        request.labels,
        request.meta,
        request.budget,
        request.contextHints,
      ]),
    )
    .update(context ?? '')
    .digest()

export interface Dispatch {
  jobId: string
  request: JobRequest
  fence: number
  constraints: Constraints | null
  /** Milliseconds until the attempt is over time. */
  remainingMs: number
  /** The configuration in force, as JSON; absent where the packet is only shown. It is no part of the job's hash (jobs.md 17.7). */
  config?: string
}

/** The request as a worker gets it, with what policy allows written into its environment (jobs.md 17.2 step 7). */
export function workerRequest({ jobId, request, fence, constraints, remainingMs, config }: Dispatch): Packet {
  const { meta = {}, budget = {}, contextHints = {} } = request
  const budgets = constraints?.budgets
  const limits: Record<string, string> = {}
  if (config !== undefined) limits['CORDUM_EFFECTIVE_CONFIG'] = config
  // The worker's own spans are part of this run of the job.
  const trace = readTraceparent(request.traceparent)
  if (trace) limits['traceparent'] = contextText({ traceId: trace.traceId, spanId: runSpanId(jobId, fence) })
  if (constraints) {
    limits['CORDUM_POLICY_CONSTRAINTS'] = JSON.stringify(constraintsMessage(constraints))
    if (constraints.redactionLevel !== '') limits['CORDUM_REDACTION_LEVEL'] = constraints.redactionLevel
    if (budgets && budgets.maxArtifactBytes > 0) limits['CORDUM_MAX_ARTIFACT_BYTES'] = String(budgets.maxArtifactBytes)
    if (budgets && budgets.maxConcurrentJobs > 0)
      limits['CORDUM_MAX_CONCURRENT_JOBS'] = String(budgets.maxConcurrentJobs)
    if (budgets && budgets.maxRetries > 0) limits['CORDUM_MAX_RETRIES'] = String(budgets.maxRetries)
  }
  const asked = budget.deadlineMs ?? 0
  const bounded = asked > 0 || (budgets?.maxRuntimeMs ?? 0) > 0
  const init: MessageInitShape<typeof JobRequestSchema> = {
    jobId,
    topic: request.topic,
    priority: PRIORITY[request.priority ?? 'interactive'].wire,
    contextPtr: request.contextPtr ?? '',
    adapterId: request.adapterId ?? '',
    env: { ...request.env, ...limits },
    parentJobId: request.parentJobId ?? '',
    workflowId: request.workflowId ?? '',
    stepIndex: request.stepIndex ?? 0,
    memoryId: request.memoryId ?? '',
    contextHints: {
      maxInputTokens: contextHints.maxInputTokens ?? 0,
      allowSummarization: contextHints.allowSummarization ?? false,
      allowRetrieval: contextHints.allowRetrieval ?? false,
      tags: [...(contextHints.tags ?? [])],
    },
    budget: {
      maxInputTokens: BigInt(budget.maxInputTokens ?? 0),
      maxOutputTokens: BigInt(budget.maxOutputTokens ?? 0),
      maxTotalTokens: BigInt(budget.maxTotalTokens ?? 0),
      deadlineMs: BigInt(bounded ? Math.max(1, Math.round(remainingMs)) : 0),
    },
    tenantId: request.tenant,
    principalId: request.principalId,
    labels: { ...request.labels },
    meta: {
      tenantId: request.tenant,
      actorId: meta.actorId ?? '',
      actorType:
        meta.actorType === undefined
          ? ActorType.UNSPECIFIED
          : meta.actorType === 'human'
            ? ActorType.HUMAN
            : ActorType.SERVICE,
      idempotencyKey: meta.idempotencyKey ?? '',
      capability: meta.capability ?? '',
      riskTags: [...(meta.riskTags ?? [])],
      requires: [...(meta.requires ?? [])],
      packId: meta.packId ?? '',
      labels: { ...meta.labels },
    },
    attempt: fence,
  }
  return create(JobRequestSchema, init)
}

/** A worker's or service's request off the bus in our form. Tenant and principal come from its credential, never from it. */
export function readPacket(packet: Packet, tenant: string): JobRequest {
  const { budget, contextHints, meta } = packet
  const priority = Object.entries(PRIORITY).find(([, { wire }]) => wire === packet.priority)?.[0] as
    Priority | undefined
  const actorType =
    meta?.actorType === ActorType.HUMAN ? 'human' : meta?.actorType === ActorType.SERVICE ? 'service' : undefined
  return {
    topic: packet.topic,
    tenant,
    principalId: packet.principalId,
    ...(priority === undefined ? {} : { priority }),
    ...(packet.adapterId === '' ? {} : { adapterId: packet.adapterId }),
    ...(packet.contextPtr === '' ? {} : { contextPtr: packet.contextPtr }),
    ...(packet.parentJobId === '' ? {} : { parentJobId: packet.parentJobId }),
    ...(packet.workflowId === '' ? {} : { workflowId: packet.workflowId, stepIndex: packet.stepIndex }),
    ...(packet.memoryId === '' ? {} : { memoryId: packet.memoryId }),
    env: packet.env,
    labels: packet.labels,
    ...(contextHints
      ? {
          contextHints: {
            maxInputTokens: contextHints.maxInputTokens,
            allowSummarization: contextHints.allowSummarization,
            allowRetrieval: contextHints.allowRetrieval,
            tags: contextHints.tags,
          },
        }
      : {}),
    ...(budget
      ? {
          budget: {
            maxInputTokens: Number(budget.maxInputTokens),
            maxOutputTokens: Number(budget.maxOutputTokens),
            maxTotalTokens: Number(budget.maxTotalTokens),
            deadlineMs: Number(budget.deadlineMs),
          },
        }
      : {}),
    meta: {
      ...(meta && meta.actorId !== '' ? { actorId: meta.actorId } : {}),
      ...(actorType === undefined ? {} : { actorType }),
      ...(meta && meta.idempotencyKey !== '' ? { idempotencyKey: meta.idempotencyKey } : {}),
      ...(meta && meta.capability !== '' ? { capability: meta.capability } : {}),
      ...(meta && meta.packId !== '' ? { packId: meta.packId } : {}),
      riskTags: meta?.riskTags ?? [],
      requires: meta?.requires ?? [],
      labels: meta?.labels ?? {},
    },
  }
}

/** `secret://…` anywhere in a value: the job carries secrets (jobs.md 5, secret references). */
export function holdsSecretReference(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return value.trimStart().startsWith('secret://')
  if (typeof value !== 'object' || value === null || depth > 64) return false
  return Object.values(value).some((each) => holdsSecretReference(each, depth + 1))
}
