import { AGENT_STATES, AGENT_STATUSES } from '@wheelhouse/contract/release/agents'
import { release } from '@wheelhouse/contract/release/index'
import { listPage, sql, type Statement } from '../../kernel/db/index.ts'
import { type ReplyControls, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { anyOf, deleted, labelConditions, listed, requireVersion } from '../resource.ts'
import { takeHeartbeat } from './heartbeat.ts'
import { createRegistrationToken, registerAgent } from './registration.ts'
import { removeAgent, updateAgent } from './service.ts'
import {
  type AgentRow,
  columns,
  getAgent,
  heartbeatHistory,
  lastHeartbeat,
  running,
  status,
  toAgent,
} from './tables.ts'

const endpoints = release.agents

/** The agent's `version` is its software's; the ETag is that of its row. */
function stampRow<T extends { rowVersion: number }>(reply: ReplyControls, agent: T): T {
  reply.header('ETag', `"${agent.rowVersion}"`)
  return agent
}

/** release.md §6.4. */
export const routes = (kernel: Kernel) =>
  serve('release', endpoints, {
    register: ({ body, request }) =>
      registerAgent(kernel, request.header('x-agent-token') ?? request.header('x-registration-token'), body, request),
    async list({ tx, query, list }) {
      const where: Statement[] = [sql`agents.deleted_at is null`]
      const statuses = anyOf(query.status, AGENT_STATUSES, 'status')
      if (statuses) where.push(sql`${status} = any(${statuses}::text[])`)
      const states = anyOf(query.state, AGENT_STATES, 'state')
      if (states) where.push(sql`agents.state = any(${states}::text[])`)
      const capabilities = listed(query.capability)
      if (capabilities) where.push(sql`agents.capabilities && ${capabilities}::text[]`)
      where.push(...labelConditions(sql`(agents.declared_labels || agents.labels)`, query.label))
      return listPage(
        tx,
        endpoints.list.list,
        {
          table: 'agents',
          select: columns,
          where,
          columns: {
            status,
            lastHeartbeatAt: lastHeartbeat,
            runningTasks: running,
            maxConcurrentTasks: sql.ref('agents.max_tasks'),
            labels: sql`(agents.declared_labels || agents.labels)`,
          },
          map: (row: AgentRow) => toAgent(row),
        },
        list,
      )
    },
    async get({ tx, params, reply }) {
      const row = await getAgent(tx, params.id)
      const history = await heartbeatHistory(tx, row.id)
      // Agents have been given no tasks of this surface yet.
      return stampRow(reply, { ...toAgent(row), recentTasks: [], heartbeatHistory: history })
    },
    async update({ tx, principal, params, body, now, request, reply, audit }) {
      const row = await getAgent(tx, params.id, true)
      requireVersion(request, row.rowVersion)
      const after = toAgent(await updateAgent(tx, principal, row, body, now))
      audit({ before: toAgent(row), after })
      return stampRow(reply, after)
    },
    async remove({ tx, principal, params, query, now, request, reply, audit }) {
      const row = await getAgent(tx, params.id, true)
      requireVersion(request, row.rowVersion)
      await removeAgent(tx, principal, row, query.force, now)
      tx.afterCommit(() => {
        kernel.agents.disconnect(row.id)
        kernel.identity.changed()
      })
      audit({ before: toAgent(row), metadata: { force: query.force } })
      return deleted(request, reply)
    },
    heartbeat: ({ principal, params, body, request }) => takeHeartbeat(kernel, principal, params.id, body, request),
    async createToken({ tx, principal, body, now, audit }) {
      const made = await createRegistrationToken(tx, principal, body, now)
      audit({ verb: 'agent-token.create', resourceId: made.id, after: { ...body, expiresAt: made.expiresAt } })
      return made
    },
  })
