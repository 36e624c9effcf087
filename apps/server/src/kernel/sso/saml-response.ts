import { Fault } from '@wheelhouse/contract'
import type { SamlRequest } from './saml-exchange.ts'
import { attribute, children, is, readXml, XmlError } from './xml.ts'

/** Of the decoded answer: hundreds of groups fit. Whoever walks its elements takes time by the square of their number. */
const MAX_BYTES = 128 * 1024
const MAX_TAGS = 2_000
const MAX_ATTRIBUTES = 3_000

/** All that may be named as an `Algorithm` in an answer: canonical form and transforms of saml-core §5.4, and nothing weaker than SHA-256. */
const ALGORITHMS = new Set([
  'http://www.w3.org/2001/10/xml-exc-c14n#',
  'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
  'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
  'http://www.w3.org/2001/04/xmlenc#sha256',
  'http://www.w3.org/2001/04/xmlenc#sha512',
])

/** The answer is not believed. The reason is for the log; it quotes at most a name. */
export function refuse(reason: string, declined = false): never {
  throw new Fault(
    'AUTH_LOGIN_FAILED',
    { reason, ...(declined ? { declined } : {}) },
    { message: 'The provider did not confirm the login' },
  )
}

/** What of an answer is judged before its signature: size, form, algorithms, and for whom and to what it says to be the answer. */
export function checkResponse(encoded: string, { id, self }: SamlRequest): void {
  if (!/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(encoded)) refuse('it is not base64')
  const bytes = Buffer.from(encoded, 'base64')
  const text = bytes.toString('utf8')
  const parts = { tags: text.split('<').length, attributes: text.split(/=\s*["']/).length }
  if (bytes.length > MAX_BYTES || parts.tags > MAX_TAGS || parts.attributes > MAX_ATTRIBUTES) refuse('it is too large')
  // Elements and text are all that an answer consists of. Comments have split names, types have named files, CDATA has hidden both.
  if (/<[!?]/.test(text.replace(/^\s*<\?xml [^>]*\?>/, ''))) refuse('it has a type, comments, CDATA or instructions')
  const root = parsed(text)
  if (!is(root, 'protocol', 'Response')) refuse('it is no response')
  if (children(root, 'assertion', 'EncryptedAssertion').length > 0)
    refuse('its assertion is encrypted, for no key of ours')
  for (const [, , name = ''] of text.matchAll(/\bAlgorithm\s*=\s*(["'])(.*?)\1/gs))
    if (!ALGORITHMS.has(name)) refuse(`the algorithm ${JSON.stringify(name.slice(0, 80))} is not accepted`)
  const destination = attribute(root, 'Destination') ?? ''
  if (destination !== '' && destination !== self.acs) refuse('its destination is another')
  if (attribute(root, 'InResponseTo') !== id) refuse('it answers another request')
}

function parsed(text: string): Element {
  try {
    return readXml(text)
  } catch (error) {
    if (error instanceof XmlError) return refuse(error.message)
    throw error
  }
}
