import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { execute } from './execute.ts'

test('ending a task leaves one of the same id under another agent of this host alone', async () => {
  const begin = () => {
    const started = Promise.withResolvers<void>()
    const execution = execute(
      {
        taskId: 'same',
        attempt: 1,
        mark: randomUUID(),
        command: 'sleep 60',
        shell: '/bin/sh',
        cwd: tmpdir(),
        timeoutMs: 60_000,
      },
      { started: () => started.resolve(), output: () => {} },
    )
    return { execution, started: started.promise }
  }
  const [one, other] = [begin(), begin()]
  await Promise.all([one.started, other.started])
  one.execution.end('cancelled')
  expect(await one.execution.done).toMatchObject({ cancelled: true })
  const first = await Promise.race([
    other.execution.done,
    new Promise((resolve) => setTimeout(resolve, 500, 'still runs')),
  ])
  expect(first).toBe('still runs')
  other.execution.end('cancelled')
  expect(await other.execution.done).toMatchObject({ cancelled: true, timedOut: false })
})
