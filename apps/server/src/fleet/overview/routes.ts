import { fleet } from '@wheelhouse/contract/fleet/index'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { visibleInstances } from '../instances/visibility.ts'
import { fleetStats } from './stats.ts'

/** The fleet in numbers (fleet.md §2, Fleet Overview). */
export const routes = (_kernel: Kernel) =>
  serve('fleet', fleet.overview, {
    getFleetStats: ({ tx, principal, now }) => fleetStats(tx, now, visibleInstances(principal)),
  })
