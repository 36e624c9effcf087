import type { Consequences, Reach } from '../../ui/blast.tsx'
import { reachOf } from '../../ui/blast.tsx'
import { plural } from '../../ui/age.ts'
import type { LifecycleAction } from '../../api/wire.ts'

const level = (count: number): 1 | 2 | 3 | 4 => (count <= 1 ? 1 : count <= 25 ? 2 : count <= 100 ? 3 : 4)

/** What a lifecycle act on that many instances does, as far as it is the same for every machine. Whether policy asks for an approval is told by the answer. */
export function lifecycleConsequences(
  action: LifecycleAction,
  instances: number,
): { reach: Reach; lines: Consequences } {
  const words = <b>{plural(instances, 'instance')}</b>
  const reach = { level: level(instances), words }
  const lines: Record<LifecycleAction, Consequences> = {
    suspend: {
      reach: { ...reach, more: 'what runs there stops; connections end' },
      undo: {
        level: 1,
        words: (
          <>
            <b>resume</b>, what was in memory is lost
          </>
        ),
      },
      cost: { level: 0, words: 'no compute while suspended' },
      data: { level: 0, words: 'volumes are kept' },
    },
    resume: {
      reach,
      undo: {
        level: 0,
        words: (
          <>
            <b>suspend</b> again
          </>
        ),
      },
      cost: { level: 1, words: 'compute counts again' },
      data: { level: 0, words: 'volumes are attached as they are' },
    },
    backup: {
      reach,
      undo: { level: 0, words: 'the copy can be deleted' },
      cost: { level: 1, words: 'storage for 30 days' },
      data: { level: 0, words: 'volumes are read, not changed' },
    },
    destroy: {
      reach: { ...reach, more: instances === 1 ? 'it is torn down' : 'they are torn down' },
      undo: { level: 4, words: 'none', alarm: true },
      cost: { level: 0, words: 'nothing is left to pay for' },
      data: { level: 4, words: 'volumes and secrets are deleted', alarm: true },
    },
  }
  return { reach: action === 'destroy' ? 'all' : reachOf(instances), lines: lines[action] }
}

/** What a command on that many instances does: nobody knows, and that is what the lines say. */
export function commandConsequences(instances: number): { reach: Reach; lines: Consequences } {
  return {
    reach: reachOf(instances),
    lines: {
      reach: {
        level: level(instances),
        words: <b>{plural(instances, 'instance')}</b>,
        more: 'runs as the user of the agent',
      },
      undo: { level: 3, words: 'depends on the command' },
      cost: { level: 0, words: 'none' },
      data: { level: 3, words: 'depends on the command' },
    },
  }
}
