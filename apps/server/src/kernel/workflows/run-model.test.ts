import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MUST_SEE, playRun } from './run-model.ts'
import type { Seen } from './run-model.ts'
import { runSpecs } from './run-model-plans.ts'

// The long form: `npm run campaign -- model --subject run --sequences 10000`.
test('random runs end as the model says, in whatever order things happen', () => {
  const seen: Seen = new Map()
  const seed = process.env['MODEL_SEED']
  fc.assert(
    fc.property(runSpecs, (spec) => playRun(spec, seen)),
    { numRuns: Number(process.env['MODEL_RUNS'] ?? 800), ...(seed === undefined ? {} : { seed: Number(seed) }) },
  )
  const often = MUST_SEE.filter((what) => seen.has(what))
  expect(often.length).toBeGreaterThan(MUST_SEE.length * 0.8)
})
