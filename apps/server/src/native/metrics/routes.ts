import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { type RequestFacts, serve } from '../../kernel/http/index.ts'
import { can } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/

/** Asked on this machine itself. What came through a proxy is not, although its last step was. */
const isLocal = (request: RequestFacts): boolean =>
  LOOPBACK.test(request.ip) &&
  request.header('x-forwarded-for') === undefined &&
  request.header('forwarded') === undefined

/** One document with both families (decisions D8). It tells of all tenants, so others than this machine need the installation's right. */
export const routes = ({ metrics }: Kernel) =>
  serve('native', native.metrics, {
    async metrics({ request, principal }) {
      if (!isLocal(request)) {
        if (!principal) throw new Fault('AUTH_TOKEN_MISSING')
        if (!can(principal, 'platform:admin')) throw new Fault('PERM_DENIED', { required: 'platform:admin' })
      }
      return { body: await metrics.text(), contentType: metrics.contentType }
    },
  })
