import { expect, test } from 'vitest'
import { FIRST_DEFINITION, readDefinition, writeDefinition } from './definition-text.ts'
import { sampleInput } from './run-input.ts'

test('the first definition reads as it is meant', () => {
  const { definition, problems } = readDefinition(FIRST_DEFINITION)
  expect(problems).toEqual([])
  expect(definition).toMatchObject({ id: 'hello', steps: { greeting: { input: { text: 'Hello, ${input.name}!' } } } })
})

test('a problem is shown at the nearest place that is written down', () => {
  const { lineOf } = readDefinition('id: a\nsteps:\n  one:\n    type: worker\n')
  expect(lineOf('steps.one.type').line).toBe(4)
  expect(lineOf('steps.one.condition').line).toBe(3)
  expect(lineOf('').line).toBe(1)
})

test('what is not YAML is a problem at its line, and no definition', () => {
  const read = readDefinition('id: a\nsteps: [\n')
  expect(read.definition).toBeUndefined()
  expect(read.problems[0]).toMatchObject({ severity: 'error' })
  expect(readDefinition('- a list').problems[0]?.message).toContain('map')
})

test('what is written is read as the same, without what the server fills in', () => {
  const workflow = {
    id: 'a',
    name: '',
    revision: 3,
    created_at: 'now',
    steps: { one: { type: 'delay', delay_sec: 1 } },
  }
  expect(readDefinition(writeDefinition(workflow)).definition).toEqual({ id: 'a', steps: workflow.steps })
})

test('steps are written after those that they depend on, in whatever order they are stored', () => {
  const text = writeDefinition({
    steps: { tell: { depends_on: ['build', 'ask'] }, build: { depends_on: ['ask'] }, ask: { type: 'approval' } },
  })
  const at = (id: string) => text.indexOf(`\n  ${id}:`)
  expect([at('ask'), at('build'), at('tell')].toSorted((a, b) => a - b)).toEqual([at('ask'), at('build'), at('tell')])
})

test('the first input has the defaults and what is required', () => {
  const schema = {
    properties: {
      name: { type: 'string', default: 'world' },
      times: { type: 'integer' },
      colour: { enum: ['red', 'blue'] },
      note: { type: 'string' },
    },
    required: ['times', 'colour'],
  }
  expect(sampleInput(schema)).toEqual({ name: 'world', times: 0, colour: 'red' })
  expect(sampleInput(undefined)).toEqual({})
})
