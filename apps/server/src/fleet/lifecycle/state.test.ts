import { INSTANCE_STATUSES, type InstanceStatus, LIFECYCLE_ACTIONS } from '@wheelhouse/contract/fleet/words'
import { expect, test } from 'vitest'
import { allowedActions, allows, requireAllowed } from './state.ts'

const pairs = INSTANCE_STATUSES.flatMap((status) => LIFECYCLE_ACTIONS.map((action) => ({ status, action })))

test.each(pairs)('$status and $action: what is offered is what is taken', ({ status, action }) => {
  if (allowedActions(status).includes(action)) expect(allows(status, action)).toBe(true)
  if (allows(status, action)) expect(() => requireAllowed(status, action, 'x')).not.toThrow()
  else expect(() => requireAllowed(status, action, 'x')).toThrow(expect.objectContaining({ code: 'INSTANCE_STATE' }))
})

test('a destroy that hangs may be tried again though it is not offered', () => {
  expect(allowedActions('DESTROYING')).toEqual([])
  expect(allows('DESTROYING', 'destroy')).toBe(true)
})

test.each(['DEPLOYING', 'DESTROYED', 'UNKNOWN'] satisfies InstanceStatus[])('%s allows nothing', (status) => {
  expect(LIFECYCLE_ACTIONS.filter((action) => allows(status, action))).toEqual([])
})
