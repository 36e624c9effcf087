import { Fault } from '@wheelhouse/contract'
import type { Workflow as ShownWorkflow } from '@wheelhouse/contract/jobs/workflows'
import { ids, type Instant, iso } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'
import { publish } from '../events/index.ts'
import { actorOf, calledName, type Principal } from '../identity/index.ts'
import { microseconds } from '../jobs/index.ts'
import { contentHash } from '../policy/index.ts'
import { compiledOr } from '../schemas/index.ts'
import { compileDefinition } from './compile.ts'
import type { Problem } from './definition.ts'
import { parseDefinition } from './parse-definition.ts'
import type { Plan } from './plan.ts'

/** A definition as its author gave it, merged with what was stored before (jobs.md 7). */
export interface StoredDefinition {
  id: string
  org_id: string
  team_id: string
  name: string
  description: string
  version: string
  timeout_sec: number
  steps: Record<string, unknown>
  config?: unknown
  input_schema?: unknown
  parameters?: unknown[]
  created_by: string
}

export interface WorkflowRow {
  definition: StoredDefinition
  revision: number
  createdAt: Instant
  updatedAt: Instant
}

const columns = sql`v.definition, w.revision, w.created_at as "createdAt", w.updated_at as "updatedAt"`

/** The definitions of the tenant, the most recently saved first. */
export const listWorkflows = (tx: Tx, limit: number): Promise<WorkflowRow[]> =>
  tx.many<WorkflowRow>(sql`
    select ${columns} from workflows w
      join workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.revision = w.revision
     where w.dialect = 'jobs' order by w.updated_us desc limit ${limit}`)

export const findWorkflow = (tx: Tx, id: string): Promise<WorkflowRow | undefined> =>
  tx.maybe<WorkflowRow>(sql`
    select ${columns} from workflows w
      join workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.revision = w.revision
     where w.id = ${id} and w.dialect = 'jobs'`)

/** A workflow as it was saved then, also of one that was removed. */
export const findVersion = (
  tx: Tx,
  id: string,
  revision: number,
): Promise<(WorkflowRow & { plan: Plan }) | undefined> =>
  tx.maybe(sql`
    select v.definition, v.plan, v.revision, v.saved_at as "createdAt", v.saved_at as "updatedAt" from workflow_versions v
     where v.workflow_id = ${id} and v.revision = ${revision} and v.dialect = 'jobs'`)

/** Whether there ever was a workflow of this name; runs of a removed one stay. */
export const wasSaved = async (tx: Tx, id: string): Promise<boolean> =>
  (await tx.maybe(sql`select 1 from workflow_versions where workflow_id = ${id} limit 1`)) !== undefined

/** What is wrong with a definition, and its plan when nothing is. Schemas must compile (jobs.md 23, fix). */
export function checkWorkflow(input: unknown): { problems: Problem[]; plan?: Plan } {
  const { definition, problems } = parseDefinition(input)
  const until = performance.now() + COMPILE_TOGETHER_MS
  const all = [...problems, ...schemaProblems(definition.inputSchema, 'input_schema', until)]
  for (const [id, step] of Object.entries(definition.steps)) {
    all.push(...schemaProblems(step.inputSchema, `steps.${id}.input_schema`, until))
    all.push(...schemaProblems(step.outputSchema, `steps.${id}.output_schema`, until))
  }
  if (all.length > 0) return { problems: all }
  return { problems: [], plan: compileDefinition({ ...definition, id: definition.id ?? 'new' }) }
}

/** Of all schemas of one definition: nothing else happens in this process meanwhile. */
const COMPILE_TOGETHER_MS = 3_000

function schemaProblems(schema: unknown, path: string, until: number): Problem[] {
  if (schema === undefined) return []
  const left = until - performance.now()
  if (left <= 0) {
    const message = `the schemas of the workflow take more than ${COMPILE_TOGETHER_MS / 1000} s to compile together; make them simpler`
    return [{ path, message, code: 'schema_invalid' }]
  }
  const made = compiledOr(schema, left)
  return typeof made === 'string' ? [{ path, message: made, code: 'schema_invalid' }] : []
}

const textOr = (given: unknown, before: string | undefined): string =>
  typeof given === 'string' && given !== '' ? given : (before ?? '')

/** jobs.md 7: absent and empty scalars and documents keep what is stored; steps are always replaced. */
function merged(
  id: string,
  given: Record<string, unknown>,
  before: StoredDefinition | undefined,
  author: string,
): StoredDefinition {
  const steps = given['steps']
  const own = typeof steps === 'object' && steps !== null && !Array.isArray(steps) ? steps : {}
  const timeout =
    typeof given['timeout_sec'] === 'number' && given['timeout_sec'] > 0 ? given['timeout_sec'] : before?.timeout_sec
  const document = <K extends 'config' | 'input_schema' | 'parameters'>(key: K) => {
    const value = given[key] ?? before?.[key]
    return value === undefined ? {} : ({ [key]: value } as { [P in K]: NonNullable<StoredDefinition[P]> })
  }
  return {
    id,
    org_id: textOr(given['org_id'], before?.org_id),
    team_id: textOr(given['team_id'], before?.team_id),
    name: textOr(given['name'], before?.name),
    description: textOr(given['description'], before?.description),
    version: textOr(given['version'], before?.version),
    timeout_sec: timeout ?? 0,
    steps: Object.fromEntries(
      Object.entries(own).map(([key, step]) => [
        key,
        typeof step === 'object' && step !== null ? { ...step, id: key } : step,
      ]),
    ),
    ...document('config'),
    ...document('input_schema'),
    ...document('parameters'),
    created_by: textOr(given['created_by'], before?.created_by ?? author),
  }
}

/**
 * Saves a definition of the jobs dialect (jobs.md 7 with its fixes): makes it, or a new revision of it; one that says nothing new changes
 * nothing but its place in lists. Throws WORKFLOW_INVALID with every problem. Runs that are under way go on as they began.
 */
export async function saveWorkflow(
  tx: Tx,
  principal: Principal,
  given: Readonly<Record<string, unknown>>,
  now: Instant,
): Promise<{ id: string; revision: number; created: boolean }> {
  const id = typeof given['id'] === 'string' && given['id'] !== '' ? given['id'] : ids.next()
  await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`workflow ${tx.tenantId} ${id}`}, 0))`)
  const before = await findWorkflow(tx, id)
  const definition = merged(id, given, before?.definition, calledName(principal))
  const { problems, plan } = checkWorkflow(definition)
  if (!plan) throw invalid(problems)
  const digest = contentHash(definition)
  const { last, same } = await tx.one<{ last: number | null; same: boolean }>(sql`
    select max(revision) as last, coalesce(bool_or(digest = ${digest} and revision = ${before?.revision ?? 0}), false) as same
      from workflow_versions where workflow_id = ${id}`)
  const revision = same && before ? before.revision : (last ?? 0) + 1
  if (revision !== before?.revision)
    await tx.run(sql`
      insert into workflow_versions (tenant_id, workflow_id, revision, definition, plan, digest, saved_by, saved_at)
      values (${tx.tenantId}, ${id}, ${revision}, ${jsonb(definition)}, ${jsonb(plan)}, ${digest}, ${principal.name}, ${at(now)})`)
  await tx.run(sql`
    insert into workflows (tenant_id, id, revision, name, created_at, updated_at, updated_us)
    values (${tx.tenantId}, ${id}, ${revision}, ${definition.name}, ${at(now)}, ${at(now)}, ${microseconds(now)})
    on conflict (tenant_id, id) do update set revision = excluded.revision, name = excluded.name, updated_at = excluded.updated_at,
      updated_us = excluded.updated_us`)
  await publish(tx, {
    type: 'workflow.saved',
    resource: { kind: 'workflow', id },
    actor: actorOf(principal),
    data: { revision, name: definition.name },
    at: now,
  })
  return { id, revision, created: !before }
}

/** Removes a definition; versions and runs stay. False: there is none. */
export async function deleteWorkflow(tx: Tx, principal: Principal, id: string, now: Instant): Promise<boolean> {
  const gone = await tx.run(sql`delete from workflows where id = ${id} and dialect = 'jobs'`)
  if (gone === 0) return false
  await publish(tx, {
    type: 'workflow.deleted',
    resource: { kind: 'workflow', id },
    actor: actorOf(principal),
    data: {},
    at: now,
  })
  return true
}

const MOST_TOLD = 20

function invalid(problems: readonly Problem[]): Fault {
  const told = problems.slice(0, MOST_TOLD).map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  const more = problems.length > MOST_TOLD ? ` and ${problems.length - MOST_TOLD} more` : ''
  return new Fault(
    'WORKFLOW_INVALID',
    { problems },
    {
      message: `invalid workflow: ${told.join('; ')}${more}`,
      extra: { code: 'WORKFLOW_INVALID', details: { problems } },
    },
  )
}

/** A definition as jobs.md 7 shows it. One without an organisation is the tenant's own (fix). */
export function shownWorkflow(
  { definition, revision, createdAt, updatedAt }: WorkflowRow,
  tenantSlug: string,
): ShownWorkflow {
  const { config, input_schema, parameters, ...rest } = definition
  return {
    ...rest,
    org_id: tenantSlug,
    timeout_sec: Math.ceil(definition.timeout_sec),
    ...(config === undefined ? {} : { config }),
    ...(input_schema === undefined ? {} : { input_schema }),
    ...(parameters === undefined ? {} : { parameters }),
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
    revision,
  }
}
