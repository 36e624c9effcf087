import { expect, test } from 'vitest'
import { parsePlainSearch, stringifyPlainSearch } from './url-state.ts'

test('a view reads back from its address, with numbers as text and quotes kept', () => {
  const view = { q: 'status:failed,warning "two words" 7', sort: '-cpu' }
  expect(parsePlainSearch(stringifyPlainSearch(view))).toEqual(view)
})
test('what has no value is not written', () => {
  expect(stringifyPlainSearch({ q: '', tab: undefined })).toBe('')
})
test('the grammar stays legible in the address', () => {
  expect(stringifyPlainSearch({ q: 'status:failed,warning' })).toBe('?q=status:failed,warning')
})
