import { expect, test } from 'vitest'
import { selfSigned } from '../../testing/certificate.ts'
import { readCertificates, readMetadata } from './saml-metadata.ts'

const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
const rsa = selfSigned('rsa').cert
const key = (pem: string, use = ' use="signing"'): string =>
  `<md:KeyDescriptor${use}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>${pem.replaceAll(/-----[^-]+-----/g, '')}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`

const provider = (name: string, keys = key(rsa), more = ''): string =>
  `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="${name}"${more}>
     <!-- Notes are fine here. -->
     <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol urn:oasis:names:tc:SAML:2.0:protocol">${keys}
       <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example/post"/>
       <md:SingleSignOnService Binding="${REDIRECT}" Location="https://idp.example/sso?a=b&amp;c=d"/>
     </md:IDPSSODescriptor>
   </md:EntityDescriptor>`
const federation = (...all: string[]): string =>
  `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">${all.join('')}</md:EntitiesDescriptor>`

const NOW = Date.parse('2030-01-01T00:00:00Z')
const read = (text: string, issuer?: string) => readMetadata(text, issuer, NOW)

test('name, address and keys are read, all the keys while a provider changes them', () => {
  const second = selfSigned('rsa').cert
  const facts = read(`<?xml version="1.0"?>\n${provider('https://idp.example', key(rsa) + key(second, ''))}`)
  expect(facts).toMatchObject({ issuer: 'https://idp.example', entryPoint: 'https://idp.example/sso?a=b&c=d' })
  expect(facts.certificates.map((each) => each.trim())).toEqual([rsa.trim(), second.trim()])
})

test('of several providers the one that is named is taken, and none by chance', () => {
  const both = federation(provider('one'), provider('two'))
  expect(read(both, 'two').issuer).toBe('two')
  expect(() => read(both)).toThrow(/several/)
  expect(() => read(both, 'three')).toThrow(/no SAML 2.0 provider three/)
})

test.each([
  ['a document type', `<!DOCTYPE md [<!ENTITY e "x">]>${provider('one')}`, /document type/],
  ['what is over', provider('one', key(rsa), ' validUntil="2029-12-31T00:00:00Z"'), /valid until 2029/],
  ['a date that is none', provider('one', key(rsa), ' validUntil="later"'), /valid until later/],
  ['no name', provider(''), /no entity ID/],
  ['no key', provider('one', ''), /no certificate/],
  ['keys for encryption alone', provider('one', key(rsa, ' use="encryption"')), /no certificate/],
  ['keys of another kind', provider('one', key(selfSigned('ec').cert)), /RSA/],
  ['something that is no certificate', provider('one', key('bm9uZQ==')), /no certificate/],
  ['no address to go to', provider('one').replace(REDIRECT, 'urn:other'), /HTTP-Redirect/],
  ['a script for an address', provider('one').replace('https://idp.example/sso', 'javascript:alert'), /HTTP-Redirect/],
  [
    'a service, and no provider',
    provider('one').replaceAll('IDPSSODescriptor', 'SPSSODescriptor'),
    /no SAML 2.0 provider/,
  ],
  [
    'an older protocol alone',
    provider('one').replace(' urn:oasis:names:tc:SAML:2.0:protocol', ''),
    /no SAML 2.0 provider/,
  ],
  ['half a document', provider('one').slice(0, -10), /malformed/],
  ['text', 'metadata', /malformed/],
])('%s cannot be used', (_, text, reason) => {
  expect(() => read(text)).toThrow(reason)
})

test('a file of certificates may hold several; those that cannot be used are left out', () => {
  const { cert } = selfSigned('ec')
  expect(readCertificates(`note\n${rsa}${cert}${rsa}`)).toHaveLength(2)
  expect(() => readCertificates(cert)).toThrow(/RSA key of 2048 bits/)
  expect(() => readCertificates('')).toThrow(/no certificate/)
})
