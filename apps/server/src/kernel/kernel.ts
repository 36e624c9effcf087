import { createHmac, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { type Agents, openAgents } from './agents/index.ts'
import { type Artifacts, openArtifacts } from './artifacts/index.ts'
import { type Approvals, openApprovals } from './approvals/index.ts'
import { type Accounts, type Bus, openAccounts, openBus, type OperatorKeys } from './bus/index.ts'
import type { Clock } from './clock/index.ts'
import type { Config } from './config/index.ts'
import { type Db, openDb } from './db/index.ts'
import { type Egress, openEgress } from './egress/index.ts'
import { type Events, type Feed, openEvents, openFeed } from './events/index.ts'
import { openTrail, type Trail } from './audit/index.ts'
import {
  authenticator,
  type Authenticator,
  type Identity,
  openIdentity,
  openTokens,
  type Tokens,
} from './identity/index.ts'
import { type JobEngine, jobRetention, openJobs, openRedisPointers, type RedisPointers } from './jobs/index.ts'
import { type Locks, lockTask, openLocks } from './locks/index.ts'
import { keepSecret } from './managed/index.ts'
import { PolicyEngine } from './policy/index.ts'
import { type Metrics, openMetrics } from './metrics/index.ts'
import { openReadiness, type Readiness } from './readiness/index.ts'
import { openSchedule, retentionTasks, type Schedule } from './schedule/index.ts'
import { type OidcProvider, openOidc, openSaml, type SamlProvider } from './sso/index.ts'
import { openTenantConfig, type TenantConfig } from './tenant-config/index.ts'
import { jobTracer, openTracer, type Tracer } from './traces/index.ts'
import { openVault, type Vault } from './vault/index.ts'
import { openWorkflows, type Workflows } from './workflows/index.ts'

/** What every domain stands on. A domain takes the parts it needs: `({ db, jobs }: Kernel) => serve(…)`. */
export interface Kernel {
  config: Config
  log: Logger
  clock: Clock
  db: Db
  vault: Vault
  /** Counters that replicas share, when the installation has a Redis. */
  redis: Redis | undefined
  /** The same Redis behind `redis://` pointers of one tenant, where that is configured. */
  redisPointers: RedisPointers | undefined
  bus: Bus
  /** NATS accounts of tenants and users. */
  accounts: Accounts
  events: Events
  trail: Trail
  /** What just happened, for the sockets of all replicas; not kept. */
  feed: Feed
  policy: PolicyEngine
  /** What tenants have configured: documents, and what is in force. */
  tenantConfig: TenantConfig
  /** The only way to the outside (decisions D9). */
  egress: Egress
  schedule: Schedule
  /** Connections of agents, and what they are asked to do. */
  agents: Agents
  /** The one inbox of what waits for people. */
  approvals: Approvals
  /** Blobs that jobs and people leave behind. */
  artifacts: Artifacts
  /** Locks of tenants, with fencing tokens. */
  locks: Locks
  /** The one door to whatever changes the world. */
  jobs: JobEngine
  /** Runs of workflows. */
  workflows: Workflows
  authenticator: Authenticator
  tokens: Tokens
  /** Who is who on NATS, and the end of what a principal holds. */
  identity: Identity
  /** The OpenID provider; undefined where none is configured. */
  oidc: OidcProvider | undefined
  /** The SAML provider; undefined where none is configured. */
  saml: SamlProvider | undefined
  readiness: Readiness
  metrics: Metrics
  /** Takes spans for the configured collector. */
  tracer: Tracer
  /** Where clients reach the nats-server, as far as we know it. */
  natsUrls: { client: string; webSocket: string | undefined }
  /** A key for one purpose, derived from the vault's: the same on all replicas, never stored. */
  derivedKey(purpose: string): Buffer
  /** Begins work of its own; call it once every domain has registered its verbs and sinks. */
  start(): Promise<void>
  close(): Promise<void>
}

export interface KernelFacts {
  config: Config
  databaseUrl: string
  nats: { url: string; wsUrl?: string | undefined; keys: OperatorKeys }
  log: Logger
  clock: Clock
}

/** Opens the kernel on a migrated database. Closes in the opposite order of opening. */
export async function openKernel({ config, databaseUrl, nats, log, clock }: KernelFacts): Promise<Kernel> {
  const root = vaultKey(config)
  const db = openDb({ url: databaseUrl, log })
  const vault = openVault([root])
  const redis = openRedis(config, log)
  const bus = await openBus({ urls: [nats.url], keys: nats.keys, log, clock })
  const events = openEvents({ db, bus, clock, log, vault })
  const feed = openFeed(log, bus)
  const metrics = openMetrics(() => bus.status())
  events.onSealed((sealed) => metrics.sealed(sealed))
  const policy = new PolicyEngine({
    db,
    clock,
    log,
    onWake: (run) => bus.onWake('policy', run),
    wake: () => bus.wake('policy'),
  })
  policy.start()
  const tenantConfig = openTenantConfig({
    db,
    log,
    onWake: (run) => bus.onWake('config', run),
    wake: () => bus.wake('config'),
  })
  const schedule = openSchedule({ db, clock, log })
  for (const task of [...retentionTasks(db, clock), lockTask(db, clock), jobRetention(db, clock, config.retention)])
    await schedule.add(task)
  const egress = openEgress(config.egress.allow)
  const accounts = openAccounts({ db, bus, vault, clock })
  const adminGroups = [config.oidc.adminGroup, config.saml.adminGroup].filter((name) => name !== undefined)
  const rules = { defaultRole: config.oidc.defaultRole, adminGroups }
  const authentication = authenticator(db, clock, rules)
  const identity = openIdentity({ db, clock, vault, bus, accounts, authenticator: authentication, rules, log })
  await schedule.add({ name: 'identity sweep', every: 10_000, run: (signal) => identity.sweep(signal) })
  const agents = openAgents({ db, clock, log, bus })
  const { artifactsShortMs, artifactsStandardMs, artifactsAuditMs } = config.retention
  const artifacts = openArtifacts({
    db,
    clock,
    log,
    folder: join(config.dataDir, 'artifacts'),
    maxBytes: config.bodyLimits.artifactBytes,
    lifeMs: { short: artifactsShortMs, standard: artifactsStandardMs, audit: artifactsAuditMs },
  })
  await schedule.add({ name: 'artifacts', every: 600_000, run: async () => void (await artifacts.sweep()) })
  await schedule.add({
    name: 'artifact orphans',
    every: 3_600_000,
    run: async (signal) => void (await artifacts.sweepOrphans(signal)),
  })
  const approvals = openApprovals({ db, clock })
  const tracer = await openTracer(config, log)
  const { redisPointersTenant } = config
  const redisPointers =
    redis && redisPointersTenant !== undefined
      ? openRedisPointers({ db, clock, log }, { redis, tenant: redisPointersTenant, lifeMs: config.retention.jobsMs })
      : undefined
  const jobs = openJobs({
    db,
    bus,
    accounts,
    identity,
    policy,
    tenantConfig,
    approvals,
    events,
    feed,
    clock,
    log,
    tracer: jobTracer(tracer),
    redisPointers,
    onDispatch: (topic) => metrics.dispatched(topic),
  })
  const workflows = await openWorkflows({
    db,
    bus,
    feed,
    accounts,
    identity,
    approvals,
    artifacts,
    jobs,
    egress,
    schedule,
    tenantConfig,
    clock,
    log,
    keptMs: config.retention.jobsMs,
    keptVersions: config.retention.workflowVersions,
    resultLifeMs: config.retention.jobsMs,
  })
  const readiness = openReadiness({ db, bus, identity })
  return {
    config,
    log,
    clock,
    db,
    vault,
    redis,
    redisPointers,
    bus,
    accounts,
    events,
    trail: openTrail(db, events),
    metrics,
    tracer,
    feed,
    policy,
    tenantConfig,
    egress,
    schedule,
    agents,
    approvals,
    artifacts,
    locks: openLocks({ clock }),
    jobs,
    workflows,
    authenticator: authentication,
    tokens: openTokens(db, clock, vault, rules),
    identity,
    oidc: openOidc({ config: config.oidc, egress, clock }),
    saml: await openSaml(config.saml, egress, clock),
    readiness,
    natsUrls: { client: nats.url, webSocket: nats.wsUrl },
    derivedKey: (purpose) => createHmac('sha256', root).update(purpose).digest(),
    async start() {
      await agents.start()
      if (!config.roles.includes('engine')) return
      await jobs.start()
      workflows.start()
    },
    async close() {
      await readiness.close()
      await workflows.stop()
      await jobs.stop()
      await agents.close()
      await schedule.close()
      await identity.close()
      await policy.stop()
      await tenantConfig.close()
      feed.close()
      await tracer.close()
      await events.close()
      await bus.close()
      redis?.disconnect()
      await db.close()
    },
  }
}

/** Connects when it is first used, and for ever again; what waits for it does not wait longer than one try. */
function openRedis({ redisUrl }: Config, log: Logger): Redis | undefined {
  if (redisUrl === undefined) return undefined
  const redis = new Redis(redisUrl, { lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 1 })
  redis.on('error', (error: Error) =>
    log.warn({ reason: error.message }, 'Redis is away; each replica counts for itself'),
  )
  redis.connect().catch(() => undefined)
  return redis
}

/** The vault's root key: configured, or made once in the data folder (mode 0600). */
function vaultKey({ vaultKey: given, dataDir }: Config): Buffer {
  return Buffer.from(given ?? keepSecret(dataDir, 'vault.json', () => randomBytes(32).toString('hex')), 'hex')
}
