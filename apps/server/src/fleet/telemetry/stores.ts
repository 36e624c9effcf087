import type { Kernel } from '../../kernel/kernel.ts'
import { type LogStore, openLogStore } from '../logs/store.ts'
import { type MetricStore, openMetricStore } from '../metrics/store.ts'
import { ensureDays } from './days.ts'

/** Where telemetry goes, whether it comes over HTTP or from an agent's socket. One of each a kernel. */
export interface Stores {
  logs: LogStore
  metrics: MetricStore
}

const opened = new WeakMap<Kernel, Stores>()

export function storesOf(kernel: Kernel): Stores {
  const known = opened.get(kernel)
  if (known) return known
  const { db, feed, clock, log } = kernel
  const days = ensureDays(db)
  const stores = {
    logs: openLogStore({ db, feed, clock, log, days }),
    metrics: openMetricStore({ db, feed, clock, log, days }),
  }
  opened.set(kernel, stores)
  return stores
}
