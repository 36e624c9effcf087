import type { Execution, StreamFrame } from '../../api/wire.ts'
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

/** The output of a job that runs: the messages of its progress, split into lines. A message may end within a line; the next goes on there. */
export function streamedLines(frames: readonly StreamFrame[]): LogLine[] {
  const lines: LogLine[] = []
  let open = false
  for (const frame of frames) {
    const message = frame.jobProgress?.message
    if (!message) continue
    const at = frame.createdAt ? Date.parse(frame.createdAt) : (lines.at(-1)?.at ?? 0)
    const parts = message.split(/\r?\n/)
    for (const [index, part] of parts.entries()) {
      const last = lines.at(-1)
      if (index === 0 && open && last) lines[lines.length - 1] = { ...last, text: last.text + part }
      else if (index < parts.length - 1 || part !== '') lines.push({ id: `s${lines.length}`, at, text: part })
    }
    // Whole lines end with a newline. A message without any is a line of its own, unless it goes on with an open one.
    open = parts.length > 1 ? parts.at(-1) !== '' : open
  }
  return lines
}
