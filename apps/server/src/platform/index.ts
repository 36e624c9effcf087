import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as keys } from './keys/routes.ts'
import { routes as openapi } from './openapi/routes.ts'
import { routes as open } from './public/routes.ts'
import { routes as roles } from './roles/routes.ts'
import { routes as session } from './session/routes.ts'

export { platformDialect } from './dialect.ts'

/** All that the platform surface serves. */
export const platformRoutes = (kernel: Kernel): Bound[] => [
  ...open(kernel),
  ...session(kernel),
  ...keys(kernel),
  ...roles(kernel),
  ...openapi(kernel),
]
