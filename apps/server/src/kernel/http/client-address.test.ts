import { expect, test } from 'vitest'
import { clientAddress } from './client-address.ts'

test('without trusted proxies nobody’s word counts but the socket’s', () => {
  const of = clientAddress([])
  expect(of('203.0.113.5', '198.51.100.1', '198.51.100.2')).toBe('203.0.113.5')
  expect(of('::ffff:203.0.113.5', undefined)).toBe('203.0.113.5')
})

test('behind trusted proxies it is the right-most address that is not one of them', () => {
  const of = clientAddress(['10.0.0.0/8', '192.0.2.1', 'fd00::/8'])
  expect(of('10.1.2.3', '198.51.100.9, 198.51.100.1, 10.9.9.9')).toBe('198.51.100.1')
  expect(of('10.1.2.3', ['198.51.100.9', '192.0.2.1'].join(', '))).toBe('198.51.100.9')
  expect(of('fd00::1', '2001:db8::7')).toBe('2001:db8::7')
  expect(of('203.0.113.5', '198.51.100.1')).toBe('203.0.113.5')
})

test('a proxy that names only the real address is believed; one that names nothing is the client', () => {
  const of = clientAddress(['10.0.0.0/8'])
  expect(of('10.1.2.3', undefined, '198.51.100.2')).toBe('198.51.100.2')
  expect(of('10.1.2.3', undefined, 'not an address')).toBe('10.1.2.3')
  expect(of('10.1.2.3', '10.4.5.6')).toBe('10.1.2.3')
})
