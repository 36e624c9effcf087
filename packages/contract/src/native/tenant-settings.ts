import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Nullable } from '../schemas.ts'

const DAY_MS = 86_400_000
const Days = Nullable(
  Type.Integer({ minimum: DAY_MS, maximum: 3650 * DAY_MS, description: 'Milliseconds; null: the installation’s' }),
)

/** What a tenant decides for itself; null: as the installation says. */
export const TenantSettings = Type.Object({
  approvals: Type.Object({
    allowSelf: Nullable(
      Type.Boolean({ description: 'Whether who asks may also approve what policy holds. By default no (null)' }),
    ),
  }),
  retention: Type.Object({ jobsMs: Days, deadLettersMs: Days }),
})
export type TenantSettings = Static<typeof TenantSettings>

const common = { group: 'Tenant', path: '/wheelhouse/api/v1/tenant/settings', rate: 'native' } as const

export const tenantSettings = area({
  get: {
    ...common,
    method: 'GET',
    summary: 'What the tenant has decided for itself',
    permission: 'tenant-setting:read',
    reply: TenantSettings,
  },
  patch: {
    ...common,
    method: 'PATCH',
    summary: 'Changes what is named, in force at once; null gives the word back to the installation',
    permission: 'tenant-setting:admin',
    verb: 'tenant-setting.change',
    verbatim: ['approvals', 'retention'],
    body: Type.Object({
      approvals: Type.Optional(Type.Partial(TenantSettings.properties.approvals)),
      retention: Type.Optional(Type.Partial(TenantSettings.properties.retention)),
    }),
    reply: TenantSettings,
  },
})
