import { expect, test } from 'vitest'
import { parseLabels } from './host-labels.ts'

test('labels are pairs, and a word without a value is named', () => {
  expect(parseLabels('env=production, team = payments,')).toEqual({ env: 'production', team: 'payments' })
  expect(parseLabels('url=a=b')).toEqual({ url: 'a=b' })
  expect(parseLabels('production')).toBe('Write production as name=value.')
})
