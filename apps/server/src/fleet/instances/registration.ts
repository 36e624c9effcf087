import { Fault, floorRank, type Violation } from '@wheelhouse/contract'
import type { Instance, Registration } from '@wheelhouse/contract/fleet/instances'
import { DISTROS, INSTANCE_NAME, PROVIDERS } from '@wheelhouse/contract/fleet/words'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import { at, jsonb, sql, type Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { actorOf, floorOf, type Principal } from '../../kernel/identity/index.ts'
import { addEvent, findByExternalId, instanceColumns, type InstanceRow, shown } from './tables.ts'
import { isAgent, seesAllTeams } from './visibility.ts'

/** What either form comes to: null clears a column, undefined keeps it. */
interface Wanted {
  id: string | undefined
  name: string
  provider: string | undefined
  region: string | null | undefined
  distro: string | null | undefined
  extensions: string[] | undefined
  configHash: string | null | undefined
  sshEndpoint: string | null | undefined
  hostname: string | undefined
  agentVersion: string | undefined
  os: string | undefined
  arch: string | undefined
  tags: Record<string, string> | undefined
  geo: { lat: number; lon: number; label: string | null; source: string } | undefined
}

const ALIASES: Readonly<Record<string, string>> = { k8s: 'kubernetes' }

/**
 * Registers an instance or refreshes the one that is known (fleet.md §2). The live holder of the name is updated in place; an agent
 * finds its row by id or name, also in ERROR, so that a machine that reboots stays one instance. Two registrations of one name wait
 * for each other.
 */
export async function register(tx: Tx, principal: Principal, body: Registration, now: Instant): Promise<Instance> {
  const byAgent = body.instance_id !== undefined && body.name === undefined
  const wanted = byAgent ? agentForm(body) : consoleForm(body)
  for (const key of new Set([wanted.name, wanted.id ?? wanted.name]))
    await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`instance ${tx.tenantId} ${key}`}, 0))`)
  const known = byAgent ? await knownToAgent(tx, body) : await holderOf(tx, wanted.name)
  if (known?.teamId != null && !seesAllTeams(principal) && !principal.groups.includes(known.teamId))
    throw new Fault('RES_DUPLICATE_NAME', { name: wanted.name }, { message: `The name '${wanted.name}' is taken` })
  const row = known
    ? await refresh(tx, principal, known, byAgent ? { ...wanted, name: known.name } : wanted, now)
    : await insert(tx, wanted, now)
  await addEvent(tx, {
    instanceId: row.id,
    type: 'DEPLOY',
    at: now,
    metadata: { triggered_by: 'api', provider: row.provider },
  })
  await publish(tx, {
    type: 'instance.registered',
    resource: { kind: 'instance', id: row.id },
    actor: actorOf(principal),
    data: { name: row.name, provider: row.provider, status: row.status, new: known === undefined },
    at: now,
  })
  return shown(row)
}

/** The console's form: strict, and what it leaves out is cleared. */
function consoleForm(body: Registration): Wanted {
  const violations: Violation[] = []
  const wrong = (field: string, message: string, code: Violation['code']) => violations.push({ field, message, code })
  if (body.name === undefined) wrong('name', 'is required', 'required')
  else if (!new RegExp(INSTANCE_NAME).test(body.name)) wrong('name', `must match pattern "${INSTANCE_NAME}"`, 'pattern')
  if (body.provider === undefined) wrong('provider', 'is required', 'required')
  else if (!(PROVIDERS as readonly string[]).includes(body.provider))
    wrong('provider', `must be one of ${PROVIDERS.join(', ')}`, 'enum')
  if (body.distro !== undefined && !(DISTROS as readonly string[]).includes(body.distro))
    wrong('distro', `must be one of ${DISTROS.join(', ')}`, 'enum')
  const [first] = violations
  if (first || body.name === undefined || body.provider === undefined)
    throw new Fault(
      'VAL_SCHEMA',
      { in: 'body' },
      { message: `${first?.field ?? ''} ${first?.message ?? ''}`, violations },
    )
  return {
    ...common(body),
    id: undefined,
    name: body.name,
    provider: body.provider,
    region: body.region ?? null,
    distro: body.distro ?? null,
    extensions: body.extensions ?? [],
    configHash: body.configHash ?? null,
    sshEndpoint: body.sshEndpoint ?? null,
    tags: body.tags,
  }
}

/** The agent's form: lenient, and what it leaves out is kept (fleet.md §2, rule for real agents). */
function agentForm(body: Registration): Wanted {
  const given = (body.provider ?? '').toLowerCase()
  const provider = ALIASES[given] ?? given
  return {
    ...common(body),
    id: body.instance_id,
    name: body.hostname === undefined || body.hostname === '' ? (body.instance_id ?? '') : body.hostname.slice(0, 128),
    provider: (PROVIDERS as readonly string[]).includes(provider) ? provider : undefined,
    region: body.region === '' ? undefined : body.region,
    distro: (DISTROS as readonly string[]).includes(body.distro ?? '') ? body.distro : undefined,
    extensions: body.extensions,
    configHash: body.configHash,
    sshEndpoint: body.sshEndpoint,
    tags: body.tags,
  }
}

function common(body: Registration) {
  const { lat, lon, city, source } = body.geo ?? {}
  const [tagLat, tagLon] = [Number(body.tags?.['geo_lat']), Number(body.tags?.['geo_lon'])]
  const geo =
    lat !== undefined && lon !== undefined
      ? { lat, lon, label: city ?? null, source: source ?? 'cloud_metadata' }
      : Math.abs(tagLat) <= 90 && Math.abs(tagLon) <= 180
        ? { lat: tagLat, lon: tagLon, label: body.tags?.['geo_label'] ?? null, source: 'user_tags' }
        : undefined
  return {
    geo,
    hostname: body.hostname || undefined,
    agentVersion: body.agent_version || undefined,
    os: body.os || undefined,
    arch: body.arch || undefined,
  }
}

/** Labels of ours are given here, never claimed: policy relies on them. */
const ownTags = (tags: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(tags).filter(([key]) => !key.startsWith('wheelhouse.')))

/** The row that holds a name: names of destroyed and broken instances are free again (fleet.md §2). */
const holderOf = (tx: Tx, name: string): Promise<InstanceRow | undefined> =>
  tx.maybe<InstanceRow>(sql`
    select ${instanceColumns} from instances
     where name = ${name} and status not in ('DESTROYED', 'ERROR') order by created_at desc limit 1 for update`)

async function knownToAgent(tx: Tx, body: Registration): Promise<InstanceRow | undefined> {
  const byId = await findByExternalId(tx, body.instance_id ?? '')
  return byId ?? (body.hostname === undefined || body.hostname === '' ? undefined : findByExternalId(tx, body.hostname))
}

async function insert(tx: Tx, wanted: Wanted, now: Instant): Promise<InstanceRow> {
  const taken =
    wanted.id !== undefined && (await tx.maybe(sql`select 1 from instances where id = ${wanted.id}`)) !== undefined
  const id = wanted.id === undefined || taken ? ids.next() : wanted.id
  const { geo } = wanted
  return tx.one<InstanceRow>(sql`
    insert into instances (tenant_id, id, name, provider, region, distro, extensions, config_hash, ssh_endpoint, status, hostname, agent_version,
                           os, arch, tags, geo_lat, geo_lon, geo_label, geo_source, created_at, updated_at)
    values (${tx.tenantId}, ${id}, ${wanted.name}, ${wanted.provider ?? 'ssh'}, ${wanted.region ?? null}, ${wanted.distro ?? null},
            ${wanted.extensions ?? []}, ${wanted.configHash ?? null}, ${wanted.sshEndpoint ?? null}, 'RUNNING', ${wanted.hostname ?? null},
            ${wanted.agentVersion ?? null}, ${wanted.os ?? null}, ${wanted.arch ?? null}, ${jsonb(ownTags(wanted.tags ?? {}))},
            ${geo?.lat ?? null}, ${geo?.lon ?? null}, ${geo?.label ?? null}, ${geo?.source ?? null}, ${at(now)}, ${at(now)})
    returning ${instanceColumns}`)
}

async function refresh(
  tx: Tx,
  principal: Principal,
  known: InstanceRow,
  wanted: Wanted,
  now: Instant,
): Promise<InstanceRow> {
  const or = <T>(value: T | undefined, kept: T): T => (value === undefined ? kept : value)
  const tags = ownTags(wanted.tags ?? {})
  // Policy reads tags: who may not run the fleet can add some to a known machine, but not overrule those that it has.
  const mayOverrule = isAgent(principal) || floorRank(floorOf(principal)) >= floorRank('OPERATOR')
  const geo = wanted.geo
  return tx.one<InstanceRow>(sql`
    update instances set
      provider = ${wanted.provider ?? known.provider}, region = ${or(wanted.region, known.region)}, distro = ${or(wanted.distro, known.distro)},
      extensions = ${or(wanted.extensions, known.extensions)}, config_hash = ${or(wanted.configHash, known.configHash)},
      ssh_endpoint = ${or(wanted.sshEndpoint, known.sshEndpoint)}, hostname = ${wanted.hostname ?? known.hostname},
      agent_version = ${wanted.agentVersion ?? known.agentVersion}, os = ${wanted.os ?? known.os}, arch = ${wanted.arch ?? known.arch},
      tags = ${jsonb(mayOverrule ? { ...known.tags, ...tags } : { ...tags, ...known.tags })},
      geo_lat = coalesce(${geo?.lat ?? null}::float8, geo_lat), geo_lon = coalesce(${geo?.lon ?? null}::float8, geo_lon),
      geo_label = coalesce(${geo?.label ?? null}::text, geo_label), geo_source = coalesce(${geo?.source ?? null}::text, geo_source),
      status = 'RUNNING', updated_at = ${at(now)}
     where id = ${known.id}
    returning ${instanceColumns}`)
}
