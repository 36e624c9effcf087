import { keys } from './keys.ts'
import { openapi } from './openapi.ts'
import { open } from './public.ts'
import { roles } from './roles.ts'
import { session } from './session.ts'

/** The areas of the platform surface, one file each. */
export const platform = { open, session, keys, roles, openapi } as const
