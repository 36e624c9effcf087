import { sql, type Tx } from '../../kernel/db/index.ts'
import type { Facts } from '../../kernel/jobs/index.ts'
import { notFound } from '../instances/visibility.ts'

/**
 * What policy may know of a machine (decisions D5): `instance.labels.<k>` of its tags and of its agent. Labels that were given to the
 * agent here win over what the machine says of itself.
 */
export async function instanceFacts(tx: Tx, instanceId: string): Promise<Facts> {
  const row = await tx.maybe<{
    name: string
    provider: string
    region: string | null
    status: string
    team: string | null
    labels: Record<string, string>
  }>(sql`
    select i.name, i.provider, i.region, i.status, i.team_id as team,
           i.tags || coalesce(a.declared_labels, '{}'::jsonb) || coalesce(a.labels, '{}'::jsonb) as labels
      from instances i left join agents a on a.tenant_id = i.tenant_id and a.id = i.agent_id and a.deleted_at is null
     where i.id = ${instanceId}`)
  if (!row) throw notFound(instanceId)
  return {
    'instance.id': instanceId,
    'instance.name': row.name,
    'instance.provider': row.provider,
    'instance.region': row.region,
    'instance.status': row.status,
    'instance.team': row.team,
    ...Object.fromEntries(Object.entries(row.labels).map(([key, value]) => [`instance.labels.${key}`, String(value)])),
  }
}
