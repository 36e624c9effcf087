import { Fault } from '@wheelhouse/contract'
import { fleet } from '@wheelhouse/contract/fleet/index'
import { DISTROS } from '@wheelhouse/contract/fleet/words'
import { type Instant, iso, isoOrNull } from '../../kernel/clock/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { floorOf } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

interface UserRow {
  id: string
  email: string | null
  display_name: string | null
  username: string
  disabled: boolean
  last_login_at: Instant | null
  created_at: Instant
}

/** What real consoles of the fleet document ask first (fleet.md §2, additional endpoints). */
export const routes = (_kernel: Kernel) =>
  serve('fleet', fleet.client, {
    getConfig: () => ({
      // There is no way past authentication (fleet.md §3.3, 8 is a development bypass that we do not have).
      authBypass: false,
      nodeEnv: 'production',
      sindriDefaultImage: 'sindri:v3-ubuntu-dev',
      sindriImageRegistry: 'ghcr.io/pacphi/sindri',
      sindriImageVersion: 'latest',
      editorFsRoot: '/alt/home/developer/workspace',
      sindriSupportedDistros: [...DISTROS],
      sindriDefaultDistro: 'ubuntu',
      dockerHostDefault: '',
    }),

    async getMe({ tx, principal }) {
      // A key speaks for its owner; the system agent is nobody (fleet.md: 404 for principals that are no user).
      const userId = principal.kind === 'user' ? principal.id : principal.ownerId
      const user =
        userId === undefined || principal.roles.includes('system-agent')
          ? undefined
          : await tx.maybe<UserRow>(sql`
              select id, email, display_name, username, disabled, last_login_at, created_at from users
               where id = ${userId} and deleted_at is null`)
      if (!user) throw new Fault('RES_NOT_FOUND', { kind: 'user' }, { message: 'This credential belongs to no user' })
      const groups = await tx.many<{ name: string }>(
        sql`select group_name as name from group_members where principal_id = ${user.id} order by 1 limit 1000`,
      )
      const accounts = await tx.many<{ issuer: string; subject: string; created_at: Instant }>(
        sql`select issuer, subject, created_at from external_identities where user_id = ${user.id} order by created_at limit 100`,
      )
      return {
        id: user.id,
        email: user.email,
        name: user.display_name ?? user.username,
        role: floorOf(principal),
        is_active: !user.disabled,
        email_verified: accounts.length > 0,
        image: null,
        last_login_at: isoOrNull(user.last_login_at),
        created_at: iso(user.created_at),
        team_memberships: groups.map(({ name }) => ({ role: floorOf(principal), team: { id: name, name } })),
        accounts: accounts.map((each) => ({
          id: each.subject,
          provider_id: each.issuer,
          created_at: iso(each.created_at),
        })),
      }
    },
  })
