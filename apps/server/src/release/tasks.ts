import { sql } from '../kernel/db/index.ts'
import { actorOf, systemPrincipal } from '../kernel/identity/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { Task } from '../kernel/schedule/index.ts'
import { announceFreezes } from './freeze-windows/announce.ts'

/** What the release surface repeats: telling of freeze windows within five seconds of their beginning and end. */
export const releaseTasks = ({ db, clock }: Kernel): Task[] => [
  {
    name: 'release freeze windows',
    every: 5000,
    async run(signal) {
      const tenants = await db.engine((tx) =>
        tx.many<{ id: string; slug: string }>(sql`select id, slug from tenants where state = 'active' order by id`),
      )
      for (const tenant of tenants) {
        if (signal.aborted) return
        await db.tenant(tenant.id, (tx) => announceFreezes(tx, clock.now(), actorOf(systemPrincipal(tenant))))
      }
    },
  },
]
