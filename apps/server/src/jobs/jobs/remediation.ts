import { Fault } from '@wheelhouse/contract'
import { contextPointer, type JobRequest } from '../../kernel/jobs/index.ts'
import type { DetailRow } from './tables.ts'

/** Labels that belong to the job as it was, not to its clone. */
const passing = (name: string): boolean => name.toLowerCase().startsWith('approval_') || name === 'cordum.bus_msg_id'

/** The job as policy proposed it instead (jobs.md §5, remediate). Policy decides on the clone anew. */
export function remediated(row: DetailRow, jobId: string, wanted: string | undefined): JobRequest {
  const remediations = row.decisionBody?.remediations ?? []
  if (remediations.length === 0) throw new Fault('RES_CONFLICT', {}, { message: 'no remediations available' })
  if (wanted === undefined && remediations.length > 1)
    throw new Fault('VAL_SCHEMA', {}, { message: 'remediation_id required' })
  const remediation = wanted === undefined ? remediations[0] : remediations.find(({ id }) => id === wanted)
  if (!remediation) throw new Fault('RES_NOT_FOUND', {}, { message: 'remediation not found' })
  const { request } = row
  const kept = Object.entries(request.labels ?? {}).filter(([name]) => !passing(name))
  const all: Record<string, string> = {
    ...Object.fromEntries(kept),
    remediation_of: row.id,
    ...(remediation.id === '' ? {} : { remediation_id: remediation.id }),
    ...remediation.addLabels,
  }
  const labels = Object.fromEntries(Object.entries(all).filter(([name]) => !remediation.removeLabels.includes(name)))
  const { idempotencyKey: _key, ...meta } = request.meta ?? {}
  const { verb: _verb, ...rest } = request
  return {
    ...rest,
    // A verb's topic resolves to the verb again, with its permission and schema.
    topic: remediation.replacementTopic === '' ? request.topic : remediation.replacementTopic,
    parentJobId: row.id,
    contextPtr: contextPointer(jobId),
    labels,
    meta: {
      ...meta,
      labels,
      ...(remediation.replacementCapability === '' ? {} : { capability: remediation.replacementCapability }),
    },
  }
}
