import { expect, test } from 'vitest'
import { whyLines } from './why-lines.ts'

const waits = (text: string, clears?: string) => ({ kind: 'step' as const, text, ...(clears ? { clears } : {}) })

test('what the summary says already is not said again; what clears it is', () => {
  expect(
    whyLines({ summary: 'sure waits for 1 approval.', waitsFor: [waits('sure waits for 1 approval', 'approve it')] }),
  ).toEqual(['Approve it.'])
  expect(whyLines({ summary: 'It waits.', waitsFor: [waits('it waits')] })).toEqual([])
})

test('several reasons stand under each other, each once', () => {
  expect(
    whyLines({
      summary: 'Two steps wait.',
      waitsFor: [waits('build waits for a worker', 'start one'), waits('build waits for a worker', 'start one')],
    }),
  ).toEqual(['build waits for a worker. Start one.'])
})
