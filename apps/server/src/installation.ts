import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { enrolAgent } from './kernel/agents/index.ts'
import { crashPoint } from './kernel/crash/index.ts'
import { type FirstSecrets, firstStart, resetAdmin, type Tenant } from './kernel/identity/index.ts'
import { installDefaultPolicy } from './kernel/policy/index.ts'
import type { Kernel } from './kernel/kernel.ts'
import { writeDurably } from './kernel/managed/index.ts'

/** What `<data>/connection.json` holds (mode 0600), for people and programs on this host. */
export interface Connection {
  url: string
  grpc: string
  nats: string
  natsWebSocket: string | undefined
  tenant: string
  admin: FirstSecrets
  pid: number
}

export interface Installation {
  tenant: Tenant
  /** The key that the agent of this host presents. */
  agentToken: string
  /** Writes connection.json and shows the screen that ends the start. */
  announce(facts: {
    url: string
    grpc: string
    nats: { url: string; wsUrl: string | undefined }
    say(line: string): void
  }): Promise<void>
}

/**
 * The installation behind the kernel: made at the first start, found at every later one with the same tenant, user and key.
 * The clear secrets live in connection.json alone; where that is lost, new ones are made (decisions D10).
 */
export async function installation(kernel: Kernel): Promise<Installation> {
  const { config, db, clock, accounts } = kernel
  const file = join(config.dataDir, 'connection.json')
  const { tenant, secrets } = await firstStart(db, clock)
  crashPoint('start:after-tenant')
  await firstPolicy(kernel, tenant)
  const account = await db.tenant(tenant.id, (tx) => accounts.ensureTenantAccount(tx, tenant.id))
  await accounts.push(account.publicKey)
  const admin = secrets ?? storedAdmin(file) ?? (await resetAdmin(db, clock)).secrets
  // Kept at once: a crash from here on must not lose what only this process knows.
  writeDurably(file, JSON.stringify({ tenant: tenant.slug, admin }))
  crashPoint('start:after-connection')
  return {
    tenant,
    agentToken: await agentToken(kernel, tenant),
    async announce({ url, grpc, nats, say }) {
      const connection: Connection = {
        url,
        grpc,
        nats: nats.url,
        natsWebSocket: nats.wsUrl,
        tenant: tenant.slug,
        admin,
        pid: process.pid,
      }
      writeDurably(file, `${JSON.stringify(connection, undefined, 2)}\n`)
      say(screen(connection, file))
    },
  }
}

/** The policy that the tenant starts with; one that is there already stays as it is. */
async function firstPolicy({ config, db, clock, policy }: Kernel, tenant: Tenant): Promise<void> {
  const content = config.policy.file === undefined ? undefined : await readFile(config.policy.file, 'utf8')
  await db.tenant(tenant.id, (tx) =>
    installDefaultPolicy(tx, clock.now(), tenant.id, {
      defaultDecision: config.policy.default,
      ...(content === undefined ? {} : { content }),
    }),
  )
  policy.changed(tenant.id)
}

/** The clear secrets of an earlier start, if its file is still whole. */
function storedAdmin(file: string): FirstSecrets | undefined {
  if (!existsSync(file)) return undefined
  const { admin } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Connection>
  return admin?.apiKey ? admin : undefined
}

/** The local agent's own key; made once, kept in the data folder. */
async function agentToken({ config, db, clock }: Kernel, tenant: Tenant): Promise<string> {
  const file = join(config.dataDir, 'secrets', 'local-agent.json')
  if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { token: string }).token
  // The label guards the host that the installation itself lives on (decisions D9).
  const { token } = await db.tenant(tenant.id, (tx) =>
    enrolAgent(tx, clock.now(), { name: hostname(), labels: { 'wheelhouse.control-plane': 'true' } }),
  )
  crashPoint('start:after-enrolment')
  writeDurably(file, JSON.stringify({ token }))
  return token
}

function screen({ url, admin }: Connection, file: string): string {
  return [
    '',
    '  Wheelhouse is up.',
    '',
    `  Console    ${url}`,
    `  User       ${admin.email}`,
    `  Password   ${admin.password}`,
    `  API key    ${admin.apiKey}`,
    '',
    '  Try next   log in to the console and open Fleet: this machine is in it',
    '             npx wheelhouse instance list',
    '             npm run demo',
    '',
    `  The same is in ${file}. Ctrl-C stops everything.`,
    '',
  ].join('\n')
}
