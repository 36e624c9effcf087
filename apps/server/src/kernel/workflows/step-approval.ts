import type { Approvals } from '../approvals/index.ts'
import { mask } from '../audit/index.ts'
import type { Tx } from '../db/index.ts'
import { contentHash } from '../policy/index.ts'
import type { Held } from './held.ts'
import type { Effect } from './state.ts'

/** What the approval of a step names it by. */
export const stepReference = (runId: string, step: string): string => `${runId}:${step}`

/** The run and the step that such a reference names. */
export function readReference(reference: string): { runId: string; step: string } {
  const [, runId = '', step = ''] = /^([^:]+):(.+)$/s.exec(reference) ?? []
  return { runId, step }
}

/** Asks people about a step, and shows exactly what they decide about; the step's approval is bound to it by hash. */
export async function askForStep(
  tx: Tx,
  approvals: Approvals,
  { facts, plan, state }: Held,
  { step: key, input, expiresAt }: Extract<Effect, { kind: 'ask' }>,
): Promise<void> {
  const step = state.steps.get(key)
  const node = plan.nodes[step?.nodeId ?? key]
  if (!step || !node || (node.action.kind !== 'approval' && node.action.kind !== 'form')) return
  const { required, roles, allowSelf, instructions } = node.action.approval
  const approval = await approvals.ask(tx, facts.principal, {
    kind: 'step',
    refId: stepReference(state.id, key),
    hash: contentHash({
      workflow: facts.workflowId,
      revision: facts.revision,
      run: state.id,
      step: key,
      input: input ?? null,
    }),
    reason: instructions ?? '',
    required,
    roles,
    allowSelf,
    expiresAt: expiresAt ?? null,
    show: {
      workflowId: facts.workflowId,
      runId: state.id,
      stepId: key,
      stepName: node.name,
      kind: node.action.kind,
      input: mask(input ?? null),
      ...(instructions === undefined ? {} : { instructions }),
      ...(node.action.kind === 'form' ? { schema: node.inputSchema ?? null } : {}),
    },
  })
  step.approvalId = approval.id
}
