import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BUILT_IN_ROLES, type BuiltInRole } from '@wheelhouse/contract'
import pg from 'pg'
import { pino } from 'pino'
import { inject } from 'vitest'
import { composeHttp, startKernel } from '../composition.ts'
import { systemClock, testClock } from '../kernel/clock/index.ts'
import { type Config, loadConfig } from '../kernel/config/index.ts'
import { migrate } from '../kernel/db/index.ts'
import type { HttpServer } from '../kernel/http/index.ts'
import { bindRole, createKey, createTenant, createUser, type Principal } from '../kernel/identity/index.ts'
import { prepareDataFolder } from '../kernel/managed/index.ts'
import { type Kernel, openKernel } from '../kernel/kernel.ts'
import { installDefaultPolicy, putDocument } from '../kernel/policy/index.ts'
import { type NatsFixture, startNats } from './nats.ts'
import type { PostgresFacts } from './postgres.ts'

/** A tenant of a test, with one key for each built-in role. */
export interface TestTenant {
  id: string
  slug: string
  adminId: string
  keys: Readonly<Record<BuiltInRole, string>>
}

export interface Answer {
  status: number
  headers: Headers
  /** The parsed JSON body; the text where it is no JSON; null without a body. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  body: any
}

export interface CallOptions {
  /** A key of which tenant and role; `null`: no credential. Default: tenant a's admin. */
  as?: string | null
  body?: unknown
  headers?: Record<string, string>
}

/** A whole server on a database of its own, listening on a free port, with two tenants. */
export interface World {
  kernel: Kernel
  http: HttpServer
  url: string
  a: TestTenant
  b: TestTenant
  clock: ReturnType<typeof testClock> | undefined
  databaseUrl: string
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** Somebody else: a new user of a tenant, with a key of theirs. The built-in keys all belong to one person. */
  person(tenant: TestTenant, name: string, role?: string): Promise<string>
  /** Puts a policy document of tenant a in its place, in force when this resolves. */
  publish(id: string, content: string): Promise<void>
  /** The principal behind a key. */
  principal(key: string): Promise<Principal>
  close(): Promise<void>
}

export interface WorldOptions {
  /** Multiplies all rate limits; tests of the limits themselves say 1. */
  rateScale?: number
  /** A clock that the test moves; default: the real one. */
  movableClock?: boolean
  config?: (config: Config) => void
  /** A nats-server that the test starts, breaks and stops itself. */
  nats?: NatsFixture
  /** The PostgreSQL to make the database in; default: the run's. Campaigns bring their own. */
  postgres?: PostgresFacts
}

/** A new database in the run's PostgreSQL, or in that of whoever brings one; migrated. */
export async function testDatabase(
  { host, port, user, password }: PostgresFacts = inject('postgres'),
): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `wh_${randomBytes(6).toString('hex')}`
  const admin = async (statement: string): Promise<void> => {
    const client = new pg.Client({ host, port, user, password, database: 'postgres' })
    await client.connect()
    try {
      await client.query(statement)
    } finally {
      await client.end()
    }
  }
  await admin(`create database ${name}`)
  const url = `postgres://${user}:${password}@${host}:${port}/${name}`
  await migrate(url)
  return { url, drop: () => admin(`drop database if exists ${name} with (force)`) }
}

/** Opens a world: migrated database, kernel, all routes, two tenants with a key for each role. */
export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const database = await testDatabase(options.postgres)
  const dataDir = mkdtempSync(join(tmpdir(), 'wh-world-'))
  prepareDataFolder(dataDir)
  const config = structuredClone(loadConfig({ argv: [], env: { WHEELHOUSE_DATA_DIR: dataDir }, cwd: dataDir }))
  config.rateLimits.scale = options.rateScale ?? 100_000
  config.egress.allow = ['127.0.0.0/8', '::1/128']
  options.config?.(config)
  // A server of its own: worlds of other files would take this one's messages from a shared queue group.
  const nats = options.nats ?? (await startNats())
  const clock = options.movableClock ? testClock() : undefined
  const log = pino({ level: process.env['TEST_LOG'] ?? 'fatal' })
  const kernel = await openKernel({
    config,
    databaseUrl: database.url,
    nats,
    log,
    clock: clock ?? systemClock,
  })
  const a = await makeTenant(kernel, 'alpha')
  const b = await makeTenant(kernel, 'beta')
  const http = composeHttp(kernel, { checkReplies: true })
  await startKernel(kernel)
  const port = await http.listen(0, '127.0.0.1')
  const url = `http://127.0.0.1:${port}`

  return {
    kernel,
    http,
    url,
    a,
    b,
    clock,
    databaseUrl: database.url,
    principal: (key) => kernel.authenticator.opaque(key),
    person: (tenant, name, role = 'admin') => {
      const now = kernel.clock.now()
      return kernel.db.auth(async (tx) => {
        const user = await createUser(tx, now, {
          tenantId: tenant.id,
          username: name,
          password: 'Test-password-1',
          role,
        })
        return (await createKey(tx, now, { tenantId: tenant.id, ownerId: user.id, name, admin: true })).token
      })
    },
    async publish(id, content) {
      await kernel.db.tenant(a.id, (tx) => putDocument(tx, kernel.clock.now(), { id, content, enabled: true }))
      await kernel.policy.changed(a.id)
    },
    async call(method, path, { as = a.keys.admin, body, headers = {} } = {}) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(as === null ? {} : { authorization: `Bearer ${as}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: parsed(text) }
    },
    async close() {
      await http.close()
      await kernel.close()
      if (!options.nats) await nats.stop()
      await database.drop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** A second kernel on the world's database, bus and clock, as another replica has it. It is not started; whoever opens it closes it. */
export function openReplica({ kernel, databaseUrl }: World): Promise<Kernel> {
  const { config, natsUrls, bus, log, clock } = kernel
  return openKernel({ config, databaseUrl, nats: { url: natsUrls.client, keys: bus.keys }, log, clock })
}

function parsed(text: string): unknown {
  if (text === '') return null
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** A tenant with an administrator and a key for each built-in role, all owned by that administrator. */
export async function makeTenant(kernel: Kernel, slug: string): Promise<TestTenant> {
  const now = kernel.clock.now()
  return kernel.db.auth(async (tx) => {
    const tenant = await createTenant(tx, `${slug}-${randomBytes(3).toString('hex')}`, slug)
    const admin = await createUser(tx, now, {
      tenantId: tenant.id,
      username: 'admin',
      email: `admin@${slug}.test`,
      password: 'Test-password-1',
      role: 'admin',
    })
    await bindRole(tx, tenant.id, admin.id, 'platform-admin')
    for (const role of ['system-agent', 'worker']) await bindRole(tx, tenant.id, admin.id, role)
    await installDefaultPolicy(tx, now, tenant.id)
    const keys: Record<string, string> = {}
    for (const role of BUILT_IN_ROLES) {
      const { token } = await createKey(tx, now, {
        tenantId: tenant.id,
        ownerId: admin.id,
        name: role,
        roles: [role],
        admin: role === 'admin' || role === 'platform-admin',
      })
      keys[role] = token
    }
    return { id: tenant.id, slug: tenant.slug, adminId: admin.id, keys: keys as Record<BuiltInRole, string> }
  })
}
