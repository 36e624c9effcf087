import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { putSchema } from '../schemas/index.ts'
import { compileDefinition } from './compile.ts'
import type { SchemaReference } from './plan.ts'
import { worldFor } from './world-for.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const plan = compileDefinition({
  id: 'wf',
  steps: {
    one: { id: 'one', dependsOn: [], inputSchemaId: 'v/Number' },
    two: { id: 'two', dependsOn: [], inputSchemaId: 'v/None' },
  },
})

test('values are held against the registry as it stands, and a written schema wins over an id', async () => {
  const { db, clock } = world.kernel
  await db.tenant(world.a.id, async (tx) => {
    const problem = async (reference: SchemaReference, value: unknown) =>
      (await worldFor(tx, plan, clock.now())).validate(reference, value)
    await putSchema(tx, clock.now(), 'v/Number', { type: 'number' })
    expect(await problem({ id: 'v/Number' }, 'a')).toBe('must be number')
    expect(await problem({ id: 'v/Number' }, 1)).toBeUndefined()
    await putSchema(tx, clock.now(), 'v/Number', { type: 'string' })
    expect(await problem({ id: 'v/Number' }, 'a')).toBeUndefined()
    expect(await problem({ id: 'v/Number', inline: { type: 'boolean' } }, 'a')).toBe('must be boolean')
    expect(await problem({}, 'a')).toBeUndefined()
    expect(await problem({ id: 'v/None' }, 1)).toBe('load schema v/None: schema not found')
  })
})
