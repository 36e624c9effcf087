import type { OutputChunk } from '../../api/job-output.ts'
import type { Execution } from '../../api/wire.ts'
import type { LogLine } from '../../ui/log-view.tsx'

/** The output of a command that has ended: what it wrote, then what it wrote as errors, each marked. */
export function executionLines(
  execution: Pick<Execution, 'id' | 'stdout' | 'stderr' | 'createdAt' | 'completedAt'>,
): LogLine[] {
  const at = Date.parse(execution.completedAt ?? execution.createdAt)
  const lines = (text: string | null, level: LogLine['level'], kind: string): LogLine[] =>
    text === null || text === ''
      ? []
      : text
          .replace(/\r?\n$/, '')
          .split(/\r?\n/)
          .map((line, index) => ({ id: `${kind}${index}`, at, text: line, ...(level ? { level } : {}) }))
  return [...lines(execution.stdout, undefined, 'out'), ...lines(execution.stderr, 'warn', 'err')]
}

/** The output of a job as it runs. A chunk may end within a line: the next of the same stream goes on there, also when the other wrote in between. */
export function streamedLines(chunks: readonly OutputChunk[]): LogLine[] {
  const lines: LogLine[] = []
  const open: Partial<Record<OutputChunk['stream'], number>> = {}
  for (const { stream, chunk, at, seq } of chunks) {
    const parts = chunk.split(/\r?\n/)
    for (const [index, part] of parts.entries()) {
      const last = index === parts.length - 1
      const known = index === 0 ? open[stream] : undefined
      const begun = known === undefined ? undefined : lines[known]
      if (known !== undefined && begun) lines[known] = { ...begun, text: begun.text + part }
      else if (!last || part !== '') {
        lines.push({
          id: `${seq}.${index}`,
          at: Date.parse(at),
          text: part,
          ...(stream === 'stderr' ? { level: 'warn' as const } : {}),
        })
      }
      if (!last) open[stream] = undefined
      else if (part !== '') open[stream] = known ?? lines.length - 1
    }
  }
  return lines
}
