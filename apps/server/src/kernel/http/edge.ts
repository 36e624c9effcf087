import type { IncomingMessage } from 'node:http'
import { type Endpoint, Fault, type Page, type RateClass, RATES, type Surface, wireReply } from '@wheelhouse/contract'
import type { Logger } from 'pino'
import { type AuditEntry, record } from '../audit/index.ts'
import type { Clock } from '../clock/index.ts'
import { crashPoint } from '../crash/index.ts'
import type { Tx } from '../db/index.ts'
import { actorOf, can, ON_BEHALF_HEADER, type Principal } from '../identity/index.ts'
import type { Vault } from '../vault/index.ts'
import type { AuditNote, Bound, RequestFacts } from './context.ts'
import { type Gate, identify } from './credentials.ts'
import type { Dialect } from './dialect.ts'
import { checkKey, recall, remember, type StoredReply } from './idempotency.ts'
import { LimitFault, type Limits } from './limits.ts'
import { type Origins, refuseForgery } from './origins.ts'
import type { Parts } from './parts.ts'
import { within } from '../traces/index.ts'
import type { Watch } from './watch.ts'
import { replyMismatch } from './validate.ts'

export interface Edge {
  gate: Gate
  vault: Vault
  clock: Clock
  log: Logger
  limits: Limits
  origins: Origins
  dialects: Readonly<Record<Surface, Dialect>>
  cursorSecret: Buffer
  /** Every reply is held against its declaration; on in tests and development. */
  checkReplies: boolean
  secureCookies: boolean
  /** Ends sockets and streams with their caller's credential. */
  watch: Watch
  /** Release: the rate class of a tenant that has bought more (release.md §4). */
  premium(tenantId: string): boolean
}

/** Headers of a reply; several cookies are several values. */
export type ReplyHeaders = Record<string, string | string[]>

/** A request on its way through the checks. */
export interface Passage {
  bound: Bound
  dialect: Dialect
  facts: RequestFacts
  principal?: Principal
  headers: ReplyHeaders
  status?: number
  note: AuditNote
}

export interface Sent {
  status: number
  headers: ReplyHeaders
  body: string | Buffer | NodeJS.ReadableStream | null
  contentType?: string
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * What is asked before the body is read, in the order of decisions D8: IP bucket, credential, principal's bucket, permission.
 * Neither an anonymous caller nor one without the permission learns anything from what follows.
 */
export async function admit(
  edge: Edge,
  passage: Passage,
  incoming: Pick<IncomingMessage, 'headers'>,
  query: Readonly<Record<string, unknown>>,
  upgrade: boolean,
): Promise<void> {
  const { bound, dialect, facts } = passage
  const { endpoint } = bound
  const isPublic = endpoint.permission === 'public'
  const rateClass = rateClassOf(edge, endpoint, undefined)
  if (byIp(rateClass)) Object.assign(passage.headers, await edge.limits.take(rateClass, { ip: facts.ip }))
  const identified = await identify(
    edge.gate,
    { headers: incoming.headers, query, upgrade, path: facts.path },
    dialect,
  ).catch((error: unknown) => {
    // Public endpoints do not mind a stale credential: they never asked for one.
    if (isPublic && error instanceof Fault && error.status === 401) return undefined
    return countFailure(edge, passage, error)
  })
  if (identified) {
    passage.principal = identified.principal
    if (identified.source === 'cookie' && !SAFE.has(facts.method) && !isPublic)
      refuseForgery(incoming.headers, edge.origins)
    const principalClass = rateClassOf(edge, endpoint, identified.principal)
    if (!byIp(principalClass)) {
      const { id, tenantId } = identified.principal
      Object.assign(
        passage.headers,
        await edge.limits.take(principalClass, { ip: facts.ip, principalId: id, tenantId }),
      )
    }
  }
  if (isPublic) return
  if (!identified) throw new Fault('AUTH_TOKEN_MISSING')
  await delegate(edge, passage, identified)
  if (!can(identified.principal, endpoint.permission)) {
    await recordDenial(edge, passage, identified.principal)
    throw new Fault('PERM_DENIED', {
      required: endpoint.permission,
      ...(endpoint.floor ? { floor: endpoint.floor } : {}),
      roles: identified.principal.roles,
    })
  }
}

/** A service that says for whom it acts is bounded by both their rights from here on. */
async function delegate(edge: Edge, passage: Passage, identified: { principal: Principal }): Promise<void> {
  const named = passage.facts.header(ON_BEHALF_HEADER)
  if (named === undefined || named === '') return
  try {
    identified.principal = await edge.gate.actFor(identified.principal, named.slice(0, 256))
    passage.principal = identified.principal
  } catch (error) {
    if (error instanceof Fault && error.status === 403)
      await recordDenial(edge, passage, identified.principal, { onBehalfOf: named.slice(0, 256) })
    throw error
  }
}

/** Throws what was thrown; where it was a bad credential, guesses cost the address (release.md §4). */
async function countFailure(edge: Edge, { dialect, facts }: Passage, error: unknown): Promise<never> {
  if (error instanceof Fault && error.status === 401 && dialect.failedAuthentication)
    await edge.limits.take(dialect.failedAuthentication, { ip: facts.ip })
  throw error
}

function rateClassOf(edge: Edge, endpoint: Endpoint, principal: Principal | undefined): RateClass {
  return endpoint.rate === 'release-standard' && principal && edge.premium(principal.tenantId)
    ? 'release-premium'
    : endpoint.rate
}

const byIp = (rateClass: RateClass): boolean => RATES[rateClass].by === 'ip'

/** Runs the handler of an endpoint that answers once: in its transaction, with idempotency and audit, and renders what it returns. */
export async function perform(edge: Edge, passage: Passage, parts: Parts, rawBody: Buffer | undefined): Promise<Sent> {
  const { principal } = passage
  const context = contextOf(edge, passage, parts)
  try {
    return await within(passage.facts, () => act(edge, passage, parts, rawBody, context))
  } catch (error) {
    // What depends on the object is denied by the handler; the trail knows no difference.
    if (principal && error instanceof Fault && error.code.startsWith('PERM_'))
      await recordDenial(edge, passage, principal, { code: error.code, ...error.details })
    return countFailure(edge, passage, error)
  }
}

async function act(
  edge: Edge,
  passage: Passage,
  parts: Parts,
  rawBody: Buffer | undefined,
  context: ReturnType<typeof contextOf>,
): Promise<Sent> {
  const { bound, principal } = passage
  const { endpoint, handler } = bound
  if (!principal) return render(edge, passage, await handler(context))
  const { db } = edge.gate
  const key = endpoint.idempotency === 'edge' ? passage.facts.header('idempotency-key') : undefined
  const repeats = key === undefined ? undefined : repeatsOf(edge, passage, principal, key, rawBody)
  if (endpoint.transaction === 'none' || endpoint.permission === 'public') {
    const before = repeats && (await db.tenant(principal.tenantId, (tx) => repeats.recall(tx)))
    if (before) return replayed(before)
    const sent = render(edge, passage, await handler(context))
    if (repeats || isAudited(endpoint, passage)) {
      await db.tenant(principal.tenantId, async (tx) => {
        if (isAudited(endpoint, passage)) await record(tx, auditEntry(edge, passage, principal, parts, 'ok'))
        await repeats?.remember(tx, sent)
      })
    }
    return sent
  }
  const answer = await db.tenant(principal.tenantId, async (tx) => {
    const before = await repeats?.recall(tx)
    if (before) return replayed(before)
    const sent = render(edge, passage, await handler({ ...context, tx }))
    if (isAudited(endpoint, passage))
      await record(tx, auditEntry(edge, passage, principal, parts, 'ok', resultId(sent)))
    await repeats?.remember(tx, sent)
    if (isAudited(endpoint, passage)) crashPoint('request:before-commit')
    return sent
  })
  if (isAudited(endpoint, passage)) crashPoint('request:after-commit')
  return answer
}

/** What an idempotency key stands for: this caller's request of this route, for this object, with this body. Replies lie sealed, for some show secrets once. */
function repeatsOf(edge: Edge, passage: Passage, principal: Principal, key: string, rawBody: Buffer | undefined) {
  checkKey(key)
  const { endpoint } = passage.bound
  const body = Buffer.concat([Buffer.from(`${passage.facts.path}\0`), rawBody ?? Buffer.alloc(0)])
  const scope = `${principal.id} ${endpoint.method} ${endpoint.path}`
  const context = `reply ${principal.tenantId} ${scope} ${key}`
  return {
    async recall(tx: Tx): Promise<StoredReply | undefined> {
      const known = await recall(tx, scope, key, body)
      return known && { ...known, body: known.body === null ? null : edge.vault.open(known.body, context) }
    },
    async remember(tx: Tx, sent: Sent): Promise<void> {
      const reply = storable(sent)
      const sealed = reply.body === null ? null : edge.vault.seal(reply.body, context)
      await remember(tx, edge.clock.now(), scope, key, body, { ...reply, body: sealed })
    },
  }
}

const replayed = ({ status, headers, body }: StoredReply): Sent => ({
  status,
  headers: { ...headers, 'Idempotent-Replay': 'true' },
  body,
})

const storable = ({ status, headers, body }: Sent): StoredReply => ({
  status,
  // Cookies are for the caller of that moment; a repeat gets none.
  headers: Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  ),
  body: typeof body === 'string' ? body : null,
})

export function contextOf(edge: Edge, passage: Passage, parts: Parts) {
  return {
    ...parts,
    principal: passage.principal,
    request: passage.facts,
    now: edge.clock.now(),
    audit(note: AuditNote) {
      Object.assign(passage.note, note)
    },
    reply: {
      status(code: number) {
        passage.status = code
      },
      header(name: string, value: string) {
        passage.headers[name] = value
      },
      cookie(name: string, value: string, maxAgeS: number) {
        const secure = edge.secureCookies ? '; Secure' : ''
        const cookie = `${name}=${value}; HttpOnly; SameSite=Lax; Path=/; Max-Age=${value === '' ? 0 : maxAgeS}${secure}`
        passage.headers['Set-Cookie'] = [passage.headers['Set-Cookie'] ?? [], cookie].flat()
      },
    },
  }
}

function render(edge: Edge, passage: Passage, value: unknown): Sent {
  const { bound, dialect, headers, facts } = passage
  const { endpoint } = bound
  const status = passage.status ?? endpoint.status ?? (endpoint.creates ? dialect.createdStatus : 200)
  if (endpoint.kind === 'raw') {
    const raw = value as { body: string | Buffer | NodeJS.ReadableStream; contentType?: string }
    return {
      status,
      headers,
      body: raw.body,
      contentType: raw.contentType ?? endpoint.produces ?? 'application/octet-stream',
    }
  }
  if (status === 204) return { status, headers, body: null }
  const page = endpoint.list ? (value as Page<unknown>) : undefined
  if (page && !page.totalExact) headers['X-Total-Exact'] = 'false'
  const rendered = dialect.success(value, page, {
    requestId: facts.id,
    now: edge.clock.now(),
    endpoint,
    method: facts.method,
    path: facts.path,
    ...(passage.principal ? { principal: passage.principal } : {}),
  })
  const body = JSON.stringify(rendered)
  if (edge.checkReplies) {
    const mismatch = replyMismatch(wireReply(bound.surface, endpoint), JSON.parse(body))
    if (mismatch !== undefined) throw new Error(`The reply of ${bound.name} does not fit its declaration: ${mismatch}`)
  }
  if (endpoint.text && facts.header('accept')?.trim().startsWith('text/plain'))
    return { status, headers, body: (value as { text: string }).text, contentType: 'text/plain; charset=utf-8' }
  return { status, headers, body, contentType: 'application/json; charset=utf-8' }
}

const isAudited = (endpoint: Endpoint, { facts }: Passage): boolean =>
  endpoint.verb !== null && (endpoint.verb !== undefined || !SAFE.has(facts.method))

function resultId(sent: Sent): string {
  if (typeof sent.body !== 'string') return ''
  const match = /"(?:id|job_id|name)":"([^"]{1,128})"/.exec(sent.body.slice(0, 4096))
  return match?.[1] ?? ''
}

export function auditEntry(
  edge: Edge,
  { bound, facts, note }: Passage,
  principal: Principal,
  parts: { params?: unknown } | undefined,
  outcome: AuditEntry['outcome'],
  madeId = '',
): AuditEntry {
  const { endpoint } = bound
  const verb = note.verb ?? endpoint.verb ?? endpoint.permission.replace(':', '.')
  const [pathId] = Object.values((parts?.params ?? {}) as Record<string, string>)
  return {
    at: edge.clock.now(),
    actor: actorOf(principal),
    verb,
    resourceKind: verb.split('.')[0] ?? '',
    outcome,
    ip: facts.ip,
    userAgent: facts.userAgent,
    requestId: facts.id,
    traceId: facts.traceId,
    ...note,
    resourceId: note.resourceId ?? pathId ?? madeId,
  }
}

/** A denial is part of the trail; it is written on its own, since nothing else of the request is. */
async function recordDenial(
  edge: Edge,
  passage: Passage,
  principal: Principal,
  details: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  try {
    await edge.gate.db.tenant(principal.tenantId, (tx) =>
      record(tx, {
        ...auditEntry(edge, passage, principal, undefined, 'denied'),
        metadata: { required: passage.bound.endpoint.permission, path: passage.facts.path, ...details },
      }),
    )
  } catch (error) {
    edge.log.warn({ err: error }, 'A denial could not be written to the trail')
  }
}

/** Turns whatever was thrown into the surface's error answer. A defect is logged with its stack and says nothing of itself. */
export function refusal(
  edge: Edge,
  error: unknown,
  dialect: Dialect,
  facts: RequestFacts,
  headers: ReplyHeaders,
): Sent {
  const fault = error instanceof Fault ? error : new Fault('SYS_INTERNAL', undefined, { cause: error })
  if (!(error instanceof Fault))
    edge.log.error(
      { err: error, requestId: facts.id, method: facts.method, path: facts.path },
      'A request met a defect',
    )
  const rendered = dialect.error(fault, {
    requestId: facts.id,
    now: edge.clock.now(),
    method: facts.method,
    path: facts.path,
  })
  return {
    status: rendered.status,
    headers: {
      ...headers,
      ...(fault instanceof LimitFault ? fault.headers : {}),
      ...(fault.retryAfterMs === undefined
        ? {}
        : { 'Retry-After': String(Math.max(1, Math.ceil(fault.retryAfterMs / 1000))) }),
      ...(rendered.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
      ...rendered.headers,
    },
    body: typeof rendered.body === 'string' ? rendered.body : JSON.stringify(rendered.body),
    contentType: rendered.contentType ?? 'application/json; charset=utf-8',
  }
}
