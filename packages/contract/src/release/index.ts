import { agents } from './agents.ts'
import { environments } from './environments.ts'
import { freezeWindows } from './freeze-windows.ts'
import { targets } from './targets.ts'

/** The areas of the release surface, one file each. */
export const release = { environments, freezeWindows, targets, agents } as const
