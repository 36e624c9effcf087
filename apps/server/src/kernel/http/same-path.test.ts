import type { Surface } from '@wheelhouse/contract'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import type { Bound } from './context.ts'
import { chooseSurface } from './same-path.ts'

const bound = (surface: Surface, path: string): Bound => ({
  surface,
  name: 'x',
  handler: () => undefined,
  endpoint: {
    method: 'GET',
    path,
    group: 'g',
    summary: 's',
    permission: 'public',
    rate: 'none',
    reply: Type.Unknown(),
  },
})

const uuid = '01890a5d-ac96-774b-bcce-b302099a8057'
const jwt = 'Bearer eyJh.eyJz.c2ln'

test.each<[string, Surface[], Record<string, string>, string, Surface]>([
  ['/api/v1/integrations/{id}', ['fleet', 'release'], {}, uuid, 'release'],
  ['/api/v1/integrations/{id}', ['fleet', 'release'], {}, 'github', 'fleet'],
  ['/api/v1/integrations/{id}', ['fleet', 'release'], { 'x-wheelhouse-surface': 'fleet' }, uuid, 'fleet'],
  ['/api/v1/integrations', ['fleet', 'release'], { authorization: jwt }, 'integrations', 'release'],
  ['/api/v1/integrations', ['fleet', 'release'], { authorization: 'Bearer wh_user_x' }, 'integrations', 'fleet'],
  ['/api/v1/integrations', ['fleet', 'release'], { 'x-api-key': 'wh_user_x' }, 'integrations', 'fleet'],
  ['/api/v1/integrations', ['fleet', 'release'], { cookie: 'a=b; wheelhouse_session=x' }, 'integrations', 'fleet'],
  ['/api/v1/workflow-runs', ['release', 'jobs'], { 'x-tenant-id': 'default' }, 'workflow-runs', 'jobs'],
  [
    '/api/v1/workflow-runs',
    ['release', 'jobs'],
    { 'x-tenant-id': 'default', authorization: jwt },
    'workflow-runs',
    'jobs',
  ],
  ['/api/v1/workflow-runs', ['release', 'jobs'], { authorization: jwt }, 'workflow-runs', 'release'],
  ['/api/v1/workflow-runs', ['release', 'jobs'], { authorization: 'Bearer wh_user_x' }, 'workflow-runs', 'jobs'],
  [
    '/api/v1/workflow-runs',
    ['release', 'jobs'],
    { 'x-wheelhouse-surface': 'release', 'x-tenant-id': 'd' },
    'workflow-runs',
    'release',
  ],
  ['/api/v1/workflow-runs', ['release', 'jobs'], { 'x-wheelhouse-surface': 'platform' }, 'workflow-runs', 'jobs'],
])('%s of %j with %j and %s is answered by %s', (path, surfaces, headers, segment, surface) => {
  const candidates = surfaces.map((each) => bound(each, path))
  expect(chooseSurface(candidates, headers, segment).surface).toBe(surface)
  expect(chooseSurface(candidates.toReversed(), headers, segment).surface).toBe(surface)
})
