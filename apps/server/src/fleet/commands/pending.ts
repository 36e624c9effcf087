import type { Settled } from '../../kernel/jobs/index.ts'

/** What a synchronous endpoint adds while its job waits or goes on (decisions D5): members and header. Nothing once it has ended. */
export function pendingReply(
  settled: Settled<unknown>,
  reply: { header(name: string, value: string): void },
): { jobId?: string; approvalRequired?: boolean } {
  reply.header('X-Wheelhouse-Job', settled.jobId)
  if (settled.state === 'ended') return {}
  return { jobId: settled.jobId, ...(settled.state === 'held' ? { approvalRequired: true } : {}) }
}
