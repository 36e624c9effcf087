import type { Ground } from './ground.ts'
import { residentMib } from './load.ts'
import type { Figure } from './report.ts'

/** What a replica costs before it does anything; measured right after its start and again at the end of the run. */
export async function startFigures(ground: Ground, freshMib: number): Promise<Figure[]> {
  const section = 'Start and memory'
  return [
    {
      section,
      name: 'server, from its start to its first answer (migrations of an empty database included)',
      ours: `${(ground.startedInMs / 1000).toFixed(1)} s`,
      beside: '',
    },
    { section, name: 'resident memory after the start', ours: `${freshMib.toFixed(0)} MiB`, beside: '' },
    {
      section,
      name: 'resident memory after this run',
      ours: `${(await residentMib(ground)).toFixed(0)} MiB`,
      beside: '',
    },
  ]
}
