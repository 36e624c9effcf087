import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { iso } from '../../kernel/clock/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import {
  captureDocuments,
  checkContent,
  checkResponse,
  deleteDocument,
  expectedRevision,
  getCapture,
  getDocument,
  listCaptures,
  listDocuments,
  listRules,
  listSnapshotIds,
  policyRevision,
  publishDocuments,
  putDocument,
  recordPolicyChange,
  revisionTag,
  rollbackDocuments,
  simulate,
} from '../../kernel/policy/index.ts'
import { isYes } from '../yes.ts'
import { policyAudit } from './audit.ts'
import {
  bundle,
  bundleExpectation,
  bundleId,
  bundleList,
  bundleTag,
  requireOwn,
  snapshot,
  snapshotSummary,
  writtenId,
} from './bundles.ts'
import { policyQuestion } from './check.ts'

/**
 * Bundles and their history (jobs.md §10). A change is in force on this replica when its answer is sent, and on the others with
 * the nudge; its row of the trail is written with it.
 */
export const bundleRoutes = ({ db, policy, events, jobs: engine, tenantConfig }: Kernel) =>
  serve('jobs', jobs.policyBundles, {
    async listPolicySnapshots({ principal }) {
      // What is in force is recorded when it is loaded first.
      await policy.fresh(principal.tenantId)
      return { snapshots: await db.tenant(principal.tenantId, (tx) => listSnapshotIds(tx)) }
    },

    async listPolicyRules({ tx, query }) {
      const documents = await listDocuments(tx)
      const sources = documents.map((each) => ({
        ...each,
        installedAt: each.installedAt === null ? null : iso(each.installedAt),
      }))
      const { items, errors } = listRules(sources, isYes(query.include_disabled))
      return { items: [...items], ...(errors.length > 0 ? { errors: [...errors] } : {}) }
    },

    async listPolicyBundles({ tx, reply }) {
      // The revision first: bundles newer than it only make a writer read once more.
      reply.header('ETag', revisionTag(await policyRevision(tx)))
      return bundleList(await listDocuments(tx))
    },

    async getPolicyBundle({ tx, params, query, reply }) {
      const document = await getDocument(tx, bundleId(params, query))
      reply.header('ETag', bundleTag(document))
      return bundle(document)
    },

    async putPolicyBundle({ principal, params, query, body, request, reply, now }) {
      const id = bundleId(params, query)
      requireOwn(id)
      const { content = '', enabled, author, message } = body
      checkContent(content)
      const written = await db.tenant(principal.tenantId, async (tx) => {
        const made = await putDocument(tx, now, {
          id,
          content,
          enabled,
          author,
          message,
          expect: bundleExpectation(request),
        })
        const change = { action: 'update', resourceId: id, bundleIds: [id], message } as const
        await recordPolicyChange(tx, { principal, now, request }, change)
        return made
      })
      await policy.changed(principal.tenantId)
      reply.header('ETag', bundleTag(written))
      return { id, updated_at: iso(written.updatedAt) }
    },

    async deletePolicyBundle({ principal, params, query, request, now }) {
      const id = bundleId(params, query)
      requireOwn(id)
      await db.tenant(principal.tenantId, async (tx) => {
        if (!(await deleteDocument(tx, now, id, bundleExpectation(request))))
          throw new Fault('RES_NOT_FOUND', { id }, { message: 'bundle not found' })
        const change = { action: 'update', resourceId: id, bundleIds: [id], message: 'removed' } as const
        await recordPolicyChange(tx, { principal, now, request }, change)
      })
      await policy.changed(principal.tenantId)
      return {}
    },

    async simulatePolicyBundle({ tx, principal, params, query, body }) {
      const id = bundleId(params, query)
      const { content } = body
      if (content !== undefined) checkContent(content)
      const question = await policyQuestion(principal, body.request ?? {}, { jobs: engine, tenantConfig })
      return checkResponse(simulate(await listDocuments(tx), { id, content }, question).decision)
    },

    listBundleSnapshots: async ({ tx }) => ({ items: (await listCaptures(tx)).map(snapshotSummary) }),

    async captureBundleSnapshot({ tx, principal, body, request, now }) {
      const capture = await captureDocuments(tx, now, body.note)
      const change = { action: 'capture', resourceId: capture.id, message: body.note } as const
      await recordPolicyChange(tx, { principal, now, request }, change)
      return snapshot(capture)
    },

    getBundleSnapshot: async ({ tx, params }) => snapshot(await getCapture(tx, params.id)),

    async publishPolicy({ principal, body, request, now }) {
      const { bundle_ids: wanted, author, message, note } = body
      const ids = wanted?.map(writtenId)
      const revision = expectedRevision(request.header('if-match'))
      const { before, after, published } = await db.tenant(principal.tenantId, async (tx) => {
        const done = await publishDocuments(tx, now, {
          ids: ids && ids.length > 0 ? ids : undefined,
          author,
          message,
          note,
          revision,
        })
        await recordPolicyChange(
          tx,
          { principal, now, request },
          {
            action: 'publish',
            resourceId: done.published.length === 1 ? (done.published[0] ?? '') : 'bundles',
            bundleIds: done.published,
            message: message ?? note,
            before: done.before.id,
            after: done.after.id,
          },
        )
        return done
      })
      await policy.changed(principal.tenantId)
      return { snapshot_before: before.id, snapshot_after: after.id, published }
    },

    async rollbackPolicy({ principal, body, request, now }) {
      const { snapshot_id: captureId = '', message, note } = body
      if (captureId.trim() === '') throw new Fault('VAL_SCHEMA', {}, { message: 'snapshot_id required' })
      const revision = expectedRevision(request.header('if-match'))
      const { before, after } = await db.tenant(principal.tenantId, async (tx) => {
        const done = await rollbackDocuments(tx, now, { captureId, note, revision })
        await recordPolicyChange(
          tx,
          { principal, now, request },
          {
            action: 'rollback',
            resourceId: captureId,
            message: message ?? note,
            before: done.before.id,
            after: done.after.id,
          },
        )
        return done
      })
      await policy.changed(principal.tenantId)
      return { snapshot_before: before.id, snapshot_after: after.id, rollback_to: captureId }
    },

    async listPolicyAudit({ principal, query }) {
      await events.settled(principal.tenantId)
      return { items: await policyAudit(db, principal.tenantId, isYes(query.include_edits)) }
    },
  })
