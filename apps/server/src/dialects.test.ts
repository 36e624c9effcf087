import { Fault, type Surface, SURFACES } from '@wheelhouse/contract'
import { describe, expect, test } from 'vitest'
import { fleetDialect } from './fleet/index.ts'
import { jobsDialect } from './jobs/index.ts'
import { type Dialect, nativeDialect } from './kernel/http/index.ts'
import { platformDialect } from './platform/index.ts'
import { releaseDialect } from './release/index.ts'

describe('one condition in five manners', () => {
  const dialects: Record<Surface, Dialect> = {
    platform: platformDialect,
    fleet: fleetDialect,
    release: releaseDialect,
    jobs: jobsDialect,
    native: nativeDialect,
  }
  const facts = { requestId: 'r', now: 0, method: 'GET', path: '/p' }

  test.each(SURFACES)('%s', (surface) => {
    const render = (fault: Fault) => {
      const { status, body } = dialects[surface].error(fault, facts)
      return { status, body: JSON.parse(JSON.stringify(body)) as unknown }
    }
    expect({
      notFound: render(new Fault('RES_NOT_FOUND', { kind: 'thing' })),
      conflict: render(new Fault('RES_CONFLICT')),
      invalid: render(
        new Fault(
          'VAL_SCHEMA',
          { in: 'body' },
          { message: 'name is wrong', violations: [{ field: 'name', message: 'is wrong', code: 'type' }] },
        ),
      ),
      tooMany: render(new Fault('RATE_LIMIT_EXCEEDED', {}, { retryAfterMs: 2000 })),
    }).toMatchSnapshot()
  })
})
