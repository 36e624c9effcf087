import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { selfSigned } from '../../testing/certificate.ts'
import { begin, fragmentOf, openSamlGround, post, type SamlGround, signIn } from '../../testing/saml-login.ts'
import { answerFor, type PostedAnswer, type Untruth } from '../../testing/saml.ts'

const TRANSIENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'
const past = new Date(Date.now() - 3_600_000).toISOString()
const future = new Date(Date.now() + 3_600_000).toISOString()

let ground: SamlGround
beforeAll(async () => {
  ground = await openSamlGround()
  ground.idp.user('ada', { attributes: { displayName: 'Ada' } })
})
afterAll(() => ground.close())
afterEach(() => {
  ground.idp.lie({})
  vi.restoreAllMocks()
})

/** A fresh answer of the provider, and what somebody made of it on its way. */
async function answered(forge = (xml: string) => xml): Promise<PostedAnswer> {
  const answer = await answerFor((await begin(ground.world)).location, 'ada')
  const xml = Buffer.from(answer.SAMLResponse, 'base64').toString()
  return { ...answer, SAMLResponse: Buffer.from(forge(xml)).toString('base64') }
}

/** Why it was refused, as the log tells; the browser learns no more than that it was. */
async function reasonFor(answer: PostedAnswer): Promise<unknown> {
  const warn = vi.spyOn(ground.world.kernel.log, 'warn')
  const reply = await post(answer)
  expect([reply.status, reply.headers.get('location')]).toEqual([303, '/login?error=sso_failed&redirect=%2F'])
  const [facts] = warn.mock.calls.at(-1) ?? []
  expect(JSON.stringify(facts).length).toBeLessThan(300)
  return (facts as { reason?: unknown } | undefined)?.reason
}

/** What the provider itself signs, and we do not believe. */
const UNTRUTHS: readonly [string, Untruth, string | RegExp][] = [
  ['for another audience', { tags: { Audience: 'https://other.example' } }, /audience/],
  ['without conditions', { edit: (all) => all.replace(/<saml:Conditions .*<\/saml:Conditions>/, '') }, /Audience/],
  ['to be delivered elsewhere', { tags: { Destination: 'https://other.example/acs' } }, 'its destination is another'],
  ['to be received elsewhere', { tags: { SubjectRecipient: 'https://other.example/acs' } }, /not confirmed for us/],
  ['that answers another request', { tags: { InResponseTo: '_other' } }, 'it answers another request'],
  [
    'that answers none',
    { edit: (all) => all.replaceAll(' InResponseTo="{InResponseTo}"', '') },
    'it answers another request',
  ],
  [
    'whose subject answers another request',
    {
      edit: (all) =>
        all.replace('{SubjectRecipient}" InResponseTo="{InResponseTo}', '{SubjectRecipient}" InResponseTo="_o'),
    },
    /InResponseTo does not match/,
  ],
  [
    'whose subject answers none',
    { edit: (all) => all.replace('{SubjectRecipient}" InResponseTo="{InResponseTo}"', '{SubjectRecipient}"') },
    /not confirmed for us/,
  ],
  [
    'whose subject was confirmed earlier',
    { tags: { SubjectConfirmationDataNotOnOrAfter: past } },
    /subject confirmation/,
  ],
  ['that is over', { tags: { ConditionsNotOnOrAfter: past } }, /expired/],
  ['that has not begun', { tags: { ConditionsNotBefore: future } }, /not yet valid/],
  ['of another provider', { edit: (all) => all.replaceAll('{Issuer}', 'https://other.example') }, /another provider/],
  ['that names its user anew each time', { tags: { NameIDFormat: TRANSIENT } }, /userIdAttribute/],
  ['signed by another', { key: selfSigned('rsa').key }, 'Invalid signature'],
  ['signed with SHA-1', { algorithm: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' }, /sha1" is not accepted/],
  [
    'of which only the envelope is signed',
    { partner: (ours) => ours.replace('WantAssertionsSigned="true"', 'WantAssertionsSigned="false"') },
    'Invalid signature',
  ],
  ['with a comment in a name', { edit: (all) => all.replace('{NameID}', 'admin<!-- -->{NameID}') }, /comments/],
  ['with CDATA in a name', { edit: (all) => all.replace('{NameID}', '<![CDATA[admin]]>') }, /CDATA/],
]

const ALGORITHM = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'
const ENVELOPED = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature'
const atTheEnd = (xml: string, more: string): string => xml.replace('</samlp:Response>', `${more}</samlp:Response>`)

/** What becomes of a good answer on its way. */
const FORGERIES: readonly [string, (xml: string) => string, string | RegExp][] = [
  ['without its signature', (xml) => xml.replace(/<ds:Signature.*<\/ds:Signature>/s, ''), 'Invalid signature'],
  ['with another name in it', (xml) => xml.replace('>ada<', '>root<'), 'Invalid signature'],
  ['with another attribute in it', (xml) => xml.replace('>Ada<', '>Root<'), 'Invalid signature'],
  ['with a comment that its signature does not see', (xml) => xml.replace('>ada<', '>ad<!-- -->a<'), /comments/],
  ['with a weaker digest', (xml) => xml.replace('2001/04/xmlenc#sha256', '2000/09/xmldsig#sha1'), /algorithm .*sha1/],
  ['with its algorithm in disguise', (xml) => xml.replace(ALGORITHM, ALGORITHM.replace('256', '&#50;56')), /algorithm/],
  ['with its key for a secret', (xml) => xml.replace(ALGORITHM, 'http://www.w3.org/2000/09/xmldsig#hmac-sha1'), /hmac/],
  [
    'with a transform that leaves things out',
    (xml) => xml.replace(ENVELOPED, 'http://www.w3.org/TR/1999/REC-xpath-19991116'),
    /xpath/,
  ],
  [
    'with an external entity',
    (xml) => `<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]>${xml.replace('>ada<', '>&e;<')}`,
    /has a type/,
  ],
  [
    'with entities that multiply',
    (xml) => `<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>${xml.replace('>ada<', '>&b;<')}`,
    /has a type/,
  ],
  ['with an entity that nobody declared', (xml) => xml.replace('>ada<', '>&e;<'), 'it is malformed'],
  ['with an instruction', (xml) => xml.replace('<saml:Assertion', '<?php x ?><saml:Assertion'), /instructions/],
  [
    'with an encrypted assertion',
    (xml) => xml.replace(/<saml:Assertion.*<\/saml:Assertion>/s, '<saml:EncryptedAssertion/>'),
    /encrypted/,
  ],
  ['too large', (xml) => atTheEnd(xml, ' '.repeat(140_000)), 'it is too large'],
  ['with too many parts', (xml) => atTheEnd(xml, '<a/>'.repeat(2_000)), 'it is too large'],
  ['with too many attributes', (xml) => atTheEnd(xml, `<a ${'b = "" '.repeat(3_000)}/>`), 'it is too large'],
  ['nested too deep', (xml) => atTheEnd(xml, '<a>'.repeat(100) + '</a>'.repeat(100)), 'it is nested too deep'],
  ['cut off', (xml) => xml.slice(0, -20), 'it is malformed'],
  ['of something else', () => '<html/>', 'it is no response'],
  ['of nothing', () => ' ', 'it is malformed'],
]

const whole = (xml: string): string => /<saml:Assertion.*<\/saml:Assertion>/s.exec(xml)?.[0] ?? ''
const signature = (xml: string): string => /<ds:Signature.*<\/ds:Signature>/s.exec(xml)?.[0] ?? ''
const sameId = (xml: string): string => whole(xml).replace(signature(xml), '').replace('>ada<', '>root<')
const evil = (xml: string): string => sameId(xml).replace(/( ID=")[^"]*/, '$1_evil')
const within = (outer: string, end: string, inner: string): string => outer.replace(end, `${inner}${end}`)

/** Signature wrapping: the signed assertion is there, untouched, and beside, above or below it the one that somebody would like believed. */
const WRAPPINGS: readonly [string, (xml: string) => string][] = [
  ['before the signed one', (xml) => xml.replace(whole(xml), evil(xml) + whole(xml))],
  ['after the signed one', (xml) => xml.replace(whole(xml), whole(xml) + evil(xml))],
  ['with the same ID before it', (xml) => xml.replace(whole(xml), sameId(xml) + whole(xml))],
  ['around it', (xml) => xml.replace(whole(xml), within(evil(xml), '</saml:Assertion>', whole(xml)))],
  [
    'in its place, and it in an extension',
    (xml) => xml.replace(whole(xml), `<samlp:Extensions>${whole(xml)}</samlp:Extensions>${evil(xml)}`),
  ],
  [
    'with its signature, and it within that',
    (xml) => {
      const bare = `<ds:Object>${whole(xml).replace(signature(xml), '')}</ds:Object>`
      const moved = within(signature(xml), '</ds:Signature>', bare)
      return xml.replace(whole(xml), evil(xml).replace('</saml:Issuer>', `</saml:Issuer>${moved}`))
    },
  ],
  ['and a whole response beside', (xml) => xml.replace(whole(xml), evil(xml) + xml.replace(/^<\?xml[^>]*\?>/, ''))],
  [
    'that hides it in its own confirmation',
    (xml) => xml.replace(whole(xml), within(evil(xml), '</saml:SubjectConfirmation>', whole(xml))),
  ],
]

describe('an answer is not believed', () => {
  test.each(UNTRUTHS)('%s', async (_, untruth, reason) => {
    ground.idp.lie(untruth)
    expect(await reasonFor(await answered())).toEqual(expect.stringMatching(reason))
  })

  test.each(FORGERIES)('%s', async (_, forge, reason) => {
    expect(await reasonFor(await answered(forge))).toEqual(expect.stringMatching(reason))
  })

  test.each(WRAPPINGS)('with another assertion %s', async (_, wrap) => {
    const forged = await answered((xml) => {
      const wrapped = wrap(xml)
      expect(wrapped).toContain('>root<')
      return wrapped
    })
    expect(await reasonFor(forged)).toEqual(expect.stringContaining('Invalid signature'))
  })

  test('that is no form of ours', async () => {
    const answer = await answered()
    expect(await reasonFor({ ...answer, SAMLResponse: '<saml>' })).toBe('it is not base64')
    expect((await post({ ...answer, SAMLResponse: 'A'.repeat(300_000) })).status).toBe(413)
  })
})

test('an answer is believed though the clocks are a little apart', async () => {
  const soon = (ms: number) => new Date(Date.now() + ms).toISOString()
  ground.idp.lie({ tags: { ConditionsNotBefore: soon(30_000) } })
  expect(fragmentOf(await signIn(ground.world, 'ada'))).toHaveProperty('token')
  const over = soon(-30_000)
  ground.idp.lie({ tags: { ConditionsNotOnOrAfter: over, SubjectConfirmationDataNotOnOrAfter: over } })
  expect(fragmentOf(await signIn(ground.world, 'ada'))).toHaveProperty('token')
})

test('the provider’s own “no” is told as one', async () => {
  ground.idp.lie({
    tags: { StatusCode: 'urn:oasis:names:tc:SAML:2.0:status:Responder' },
    partner: (ours) => ours.replace('WantAssertionsSigned="true"', 'WantAssertionsSigned="false"'),
    edit: (all) => all.replace(/<saml:Assertion.*<\/saml:Assertion>/s, ''),
  })
  const reply = await post(await answerFor((await begin(ground.world, { redirect: '/jobs' })).location, 'ada'))
  expect(reply.headers.get('location')).toBe('/login?error=sso_refused&redirect=%2Fjobs')
})
