import type { Execution } from '../../api/wire.ts'
import type { Status } from '../../ui/status.tsx'

/** How a command is, in the vocabulary. */
export function executionState(execution: Pick<Execution, 'status' | 'approvalRequired' | 'exitCode'>): {
  status: Status
  word: string
} {
  if (execution.approvalRequired && execution.status === 'PENDING')
    return { status: 'waiting', word: 'Needs an approval' }
  switch (execution.status) {
    case 'PENDING':
      return { status: 'off', word: 'Queued' }
    case 'RUNNING':
      return { status: 'running', word: 'Running' }
    case 'SUCCEEDED':
      return { status: 'ok', word: 'Done' }
    case 'TIMEOUT':
      return { status: 'failed', word: 'Timed out' }
    case 'FAILED':
      return { status: 'failed', word: 'Failed' }
  }
}
