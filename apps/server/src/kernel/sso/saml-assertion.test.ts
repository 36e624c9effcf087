import { expect, test } from 'vitest'
import { type Profile, readAssertion } from './saml-assertion.ts'

const NOW = Date.parse('2030-01-01T12:00:00Z')
const ACS = 'https://us.example/acs'
const FORMAT = 'urn:oasis:names:tc:SAML:2.0:nameid-format'

const profile: Profile = {
  issuer: 'https://idp.example',
  request: { id: '_asked', self: { entityId: 'https://us.example', acs: ACS } },
  now: NOW,
  skewMs: 60_000,
  config: { emailAttribute: 'mail', nameAttribute: 'cn', groupsAttribute: 'groups', trustEmail: false },
}

const GOOD = `<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" Version="2.0" ID="_1">
<a:Issuer>https://idp.example</a:Issuer>
<a:Subject><a:NameID Format="${FORMAT}:persistent">ada</a:NameID>
<a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><a:SubjectConfirmationData NotOnOrAfter="2030-01-01T12:05:00.5Z" Recipient="${ACS}" InResponseTo="_asked"/></a:SubjectConfirmation>
</a:Subject>
<a:Conditions NotBefore="2030-01-01T11:59:00Z" NotOnOrAfter="2030-01-01T12:10:00Z"><a:AudienceRestriction><a:Audience>https://other.example</a:Audience><a:Audience>https://us.example</a:Audience></a:AudienceRestriction></a:Conditions>
<a:AuthnStatement AuthnInstant="2030-01-01T12:00:00Z"/>
<a:AttributeStatement><a:Attribute Name="urn:oid:0.9.2342.19200300.100.1.3" FriendlyName="mail"><a:AttributeValue> ada@example.org </a:AttributeValue></a:Attribute>
<a:Attribute Name="groups"><a:AttributeValue>one</a:AttributeValue><a:AttributeValue>two</a:AttributeValue></a:Attribute></a:AttributeStatement>
</a:Assertion>`

const read = (xml: string, changes: Partial<Profile> = {}) => readAssertion(xml, { ...profile, ...changes })
const settings = (changes: Partial<Profile['config']>): Partial<Profile> => ({
  config: { ...profile.config, ...changes },
})

test('shows who it is about, with groups, and until when it says so', () => {
  expect(read(GOOD)).toEqual({
    claims: {
      by: 'saml',
      issuer: 'saml:https://idp.example',
      subject: 'ada',
      email: 'ada@example.org',
      emailVerified: false,
      groups: ['one', 'two'],
      expiresAt: Date.parse('2030-01-01T12:05:00.5Z'),
    },
  })
  expect(read(GOOD, settings({ trustEmail: true, nameAttribute: 'mail' })).claims).toMatchObject({
    emailVerified: true,
    name: 'ada@example.org',
  })
  expect(read(GOOD, settings({ userIdAttribute: 'groups', groupsAttribute: 'none' })).claims).toMatchObject({
    subject: 'one',
    groups: [],
  })
})

test('takes the NameID for an address only where it says that it is one', () => {
  const bare = GOOD.replace(/<a:AttributeStatement>.*<\/a:AttributeStatement>/s, '')
  expect(read(bare).claims).not.toHaveProperty('email')
  const address = bare.replace(
    `${FORMAT}:persistent">ada`,
    'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">a@b.c',
  )
  expect(read(address).claims).toMatchObject({ subject: 'a@b.c', email: 'a@b.c' })
})

test('of several confirmations one is enough; of several ends of a session the first counts', () => {
  const [confirmation = ''] = /<a:SubjectConfirmation .*<\/a:SubjectConfirmation>/.exec(GOOD) ?? []
  const other = confirmation.replace(ACS, 'https://other.example/acs')
  expect(read(GOOD.replace(confirmation, other + confirmation)).claims.subject).toBe('ada')
  const ends =
    '<a:AuthnStatement SessionNotOnOrAfter="2030-01-01T14:00:00+01:00"/><a:AuthnStatement SessionNotOnOrAfter="2030-01-01T20:00:00Z"/>'
  expect(read(GOOD.replace(/<a:AuthnStatement [^>]*>/, ends)).sessionEndsAt).toBe(Date.parse('2030-01-01T13:00:00Z'))
})

/** One thing that is not as it should be, and what is said of it. */
const WRONG: readonly [string, string | RegExp, string, RegExp][] = [
  ['another version', 'Version="2.0"', 'Version="1.1"', /no SAML 2.0 assertion/],
  ['another vocabulary', 'SAML:2.0:assertion', 'SAML:1.0:assertion', /no SAML 2.0 assertion/],
  ['another issuer', 'https://idp.example', 'https://idp.example/', /another provider/],
  ['no issuer', /<a:Issuer>.*<\/a:Issuer>/, '', /another provider/],
  ['a second issuer', '<a:Subject>', '<a:Issuer>https://idp.example</a:Issuer><a:Subject>', /another provider/],
  ['no subject', /<a:Subject>.*<\/a:Subject>/s, '', /not about one subject/],
  ['a second subject', '<a:Conditions', '<a:Subject/><a:Conditions', /not about one subject/],
  ['no confirmation', /<a:SubjectConfirmation .*<\/a:SubjectConfirmation>/, '', /not confirmed/],
  ['a confirmation without data', /<a:SubjectConfirmationData [^>]*>/, '', /not confirmed/],
  ['another method of confirmation', 'cm:bearer', 'cm:sender-vouches', /not confirmed/],
  ['another recipient', `Recipient="${ACS}"`, `Recipient="${ACS}/"`, /not confirmed/],
  ['no recipient', `Recipient="${ACS}"`, '', /not confirmed/],
  ['another request', 'InResponseTo="_asked"', 'InResponseTo="_other"', /not confirmed/],
  ['no request', 'InResponseTo="_asked"', '', /not confirmed/],
  ['a confirmation that is over', '12:05:00.5Z', '11:58:59Z', /not confirmed/],
  ['a confirmation without an end', 'NotOnOrAfter="2030-01-01T12:05:00.5Z"', '', /not confirmed/],
  ['an end without a zone', '12:05:00.5Z', '12:05:00', /not confirmed/],
  ['a confirmation for later', `Recipient=`, 'NotBefore="2030-01-01T12:02:00Z" Recipient=', /not confirmed/],
  ['no conditions', /<a:Conditions .*<\/a:Conditions>/, '', /no conditions/],
  ['conditions twice', '<a:Conditions', '<a:Conditions/><a:Conditions', /no conditions/],
  ['conditions that are over', '12:10:00Z', '11:59:00Z', /is over/],
  ['an end that is no time', '2030-01-01T12:10:00Z', 'later', /is over/],
  ['conditions for later', '11:59:00Z', '12:01:01Z', /not begun/],
  ['another audience', '<a:Audience>https://us.example<', '<a:Audience>https://us.example/<', /another audience/],
  ['no audience', /<a:AudienceRestriction>.*<\/a:AudienceRestriction>/, '', /another audience/],
  [
    'a second audience that is not ours',
    '</a:Conditions>',
    '<a:AudienceRestriction/></a:Conditions>',
    /another audience/,
  ],
  ['nobody authenticated', /<a:AuthnStatement [^>]*>/, '', /anybody was authenticated/],
  [
    'a session that is over',
    'AuthnInstant=',
    'SessionNotOnOrAfter="2030-01-01T12:00:00Z" AuthnInstant=',
    /session is over/,
  ],
  ['a session that ends at no time', 'AuthnInstant=', 'SessionNotOnOrAfter="" AuthnInstant=', /session is over/],
  ['a passing NameID', `${FORMAT}:persistent`, `${FORMAT}:transient`, /userIdAttribute/],
  ['no NameID', /<a:NameID .*<\/a:NameID>/, '', /names no user/],
  ['an empty NameID', '>ada<', '> <', /names no user/],
  ['a NameID without end', '>ada<', `>${'a'.repeat(257)}<`, /names no user/],
]

test.each(WRONG)('with %s is refused', (_, what, instead, reason) => {
  const wrong = GOOD.replace(what, instead)
  expect(wrong).not.toBe(GOOD)
  expect(() => read(wrong)).toThrow(
    expect.objectContaining({ code: 'AUTH_LOGIN_FAILED', details: { reason: expect.stringMatching(reason) } }),
  )
})

test('without the attribute that is to name the user is refused', () => {
  expect(() => read(GOOD, settings({ userIdAttribute: 'uid' }))).toThrow(
    expect.objectContaining({ details: { reason: 'it names no user' } }),
  )
})
