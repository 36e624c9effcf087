import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import { Metadata, status, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { area } from '@wheelhouse/contract'
import { CordumApi } from '@wheelhouse/contract/proto/api_pb'
import { ActorType } from '@wheelhouse/contract/proto/cap_pb'
import { type PolicyCheckRequest, PolicyCheckResponseSchema, SafetyKernel } from '@wheelhouse/contract/proto/safety_pb'
import { Type } from 'typebox'
import { sql } from '../../kernel/db/index.ts'
import { type Bound, callEndpoint, type Edge, serve } from '../../kernel/http/index.ts'
import { jobState, type QueueState, stateWord } from '../../kernel/jobs/index.ts'
import { listSnapshotIds } from '../../kernel/policy/index.ts'
import { type Caller, codeOf, type Ground, Refusal, unary } from './definition.ts'

/** What these services ask that no path of the surface answers as briefly. */
const questions = area({
  jobStatus: {
    method: 'GET',
    path: '/cordum.v1.CordumApi/GetJobStatus',
    group: 'Jobs',
    summary: 'The state of a job; UNKNOWN where there is none',
    permission: 'job:read',
    rate: 'jobs-tenant',
    params: Type.Object({ id: Type.String({ maxLength: 128 }) }),
    reply: Type.Object({ status: Type.String(), resultPtr: Type.String() }),
  },
  snapshots: {
    method: 'GET',
    path: '/cordum.agent.v1.SafetyKernel/ListSnapshots',
    group: 'Policy',
    summary: 'Names of the policies that were loaded last, newest first',
    permission: 'policy:read',
    rate: 'jobs-tenant',
    reply: Type.Object({ snapshots: Type.Array(Type.String()) }),
  },
})

const answers = serve('jobs', questions, {
  async jobStatus({ tx, params }) {
    const row = await tx.maybe<{ state: string; queue: QueueState | null; resultPtr: string | null }>(sql`
      select j.state, q.state as queue, j.result_ptr as "resultPtr"
        from jobs j left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id where j.id = ${params.id}`)
    return row
      ? { status: stateWord('jobs', jobState(row.state, row.queue)), resultPtr: row.resultPtr ?? '' }
      : { status: 'UNKNOWN', resultPtr: '' }
  },
  snapshots: async ({ tx }) => ({ snapshots: await listSnapshotIds(tx) }),
})

export interface Door extends Ground {
  edge: Edge
  bound: readonly Bound[]
}

type Ask = (
  name: string,
  caller: Caller,
  given: { tenant?: string; params?: object; body?: unknown },
) => Promise<Record<string, unknown>>

/** Calls the surface's own endpoints, so that both doors know one set of rights, budgets, checks and trail entries. */
export function asker({ edge, bound }: Door, more: readonly Bound[] = answers): Ask {
  const endpoints = new Map([...bound.filter(({ surface }) => surface === 'jobs'), ...more].map((e) => [e.name, e]))
  return async (name, caller, { tenant, ...given }) => {
    const endpoint = endpoints.get(name)
    if (!endpoint) throw new Error(`The jobs surface has no endpoint ${name}`)
    // jobs.md §18.6: the tenant of a request is the credential's, unless that may cross tenants.
    const headers = tenant ? { 'x-tenant-id': tenant, ...caller.headers } : caller.headers
    const { body, fault } = await callEndpoint(edge, endpoint, { ...caller, ...given, headers })
    const record = (body ?? {}) as Record<string, unknown>
    if (!fault) return record
    const metadata = new Metadata()
    if (fault.retryAfterMs !== undefined) metadata.set('retry-after', String(Math.ceil(fault.retryAfterMs / 1000)))
    throw new Refusal(codeOf(fault), String(record['error'] ?? fault.message), metadata)
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Without what proto3 cannot tell from absent. */
const present = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== '' && value !== undefined))

/** jobs.md §30.1: the documented submit, with its defaults for budgets, raw context and no deadline. */
export function cordumApi(door: Door): UntypedServiceImplementation {
  const ask = asker(door)
  const { submitJob, getJobStatus } = CordumApi.method
  return {
    submitJob: unary(submitJob, door, async (request, caller) => {
      const body = present({
        prompt: request.prompt,
        topic: request.topic,
        adapter_id: request.adapterId,
        priority: request.priority,
        org_id: request.orgId,
        team_id: request.teamId,
        project_id: request.projectId,
        idempotency_key: request.idempotencyKey,
        actor_id: request.actorId,
        actor_type: request.actorType,
        pack_id: request.packId,
        capability: request.capability,
        risk_tags: request.riskTags,
        requires: request.requires,
        labels: request.labels,
        memory_id: request.memoryId,
        context_mode: 'raw',
      })
      const made = await ask('submitJob', caller, { tenant: request.orgId, body })
      return { jobId: text(made['job_id']), traceId: text(made['trace_id']) }
    }),
    getJobStatus: unary(getJobStatus, door, async ({ jobId }, caller) => {
      const found = await ask('jobStatus', caller, { params: { id: jobId } })
      return { jobId, status: text(found['status']), resultPtr: text(found['resultPtr']) }
    }),
  }
}

const ACTORS: Readonly<Partial<Record<ActorType, string>>> = {
  [ActorType.HUMAN]: 'human',
  [ActorType.SERVICE]: 'service',
}

/** The question as `PolicyCheckBody` of jobs.md §10 has it. Throws INVALID_ARGUMENT where the configuration is no JSON. */
function questionOf({ meta, ...request }: PolicyCheckRequest): Record<string, unknown> {
  return present({
    job_id: request.jobId,
    topic: request.topic,
    tenant: request.tenant,
    principal_id: request.principalId,
    labels: request.labels,
    memory_id: request.memoryId,
    effective_config: configOf(request.effectiveConfig),
    meta:
      meta &&
      present({
        tenant_id: meta.tenantId,
        actor_id: meta.actorId,
        actor_type: ACTORS[meta.actorType],
        idempotency_key: meta.idempotencyKey,
        capability: meta.capability,
        pack_id: meta.packId,
        risk_tags: meta.riskTags,
        requires: meta.requires,
        labels: meta.labels,
      }),
  })
}

function configOf(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    throw new Refusal(status.INVALID_ARGUMENT, 'effective_config is not JSON')
  }
}

/** jobs.md §30.2; beyond it, a credential that may read policy is asked for. Four names, one evaluator. */
export function safetyKernel(door: Door): UntypedServiceImplementation {
  const ask = asker(door)
  const check = (name: string) =>
    unary(SafetyKernel.method.check, door, async (request, caller) => {
      const reply = await ask(name, caller, { tenant: request.tenant, body: questionOf(request) })
      // The explanation has members that the message does not know.
      return fromJson(PolicyCheckResponseSchema, reply as JsonValue, { ignoreUnknownFields: true })
    })
  return {
    check: check('evaluatePolicy'),
    evaluate: check('evaluatePolicy'),
    explain: check('explainPolicy'),
    simulate: check('simulatePolicy'),
    listSnapshots: unary(SafetyKernel.method.listSnapshots, door, async (_request, caller) => {
      const { snapshots } = await ask('snapshots', caller, {})
      return { snapshots: Array.isArray(snapshots) ? snapshots.map(text) : [] }
    }),
  }
}
