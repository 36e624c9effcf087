import { expect, test } from 'vitest'
import { joinLine, parseLabels } from './join-line.ts'

test('the join line carries server, token and name', () => {
  expect(joinLine('https://wheelhouse.example', 'whj_abc', 'edge-1')).toBe(
    'wheelhouse agent join --url https://wheelhouse.example --token whj_abc --name edge-1',
  )
  expect(joinLine('http://127.0.0.1:8080', 'whj_abc', '')).not.toContain('--name')
})
test('labels are pairs, and a word without a value is named', () => {
  expect(parseLabels('env=production, team = payments,')).toEqual({ env: 'production', team: 'payments' })
  expect(parseLabels('url=a=b')).toEqual({ url: 'a=b' })
  expect(parseLabels('production')).toBe('Write production as name=value.')
})
