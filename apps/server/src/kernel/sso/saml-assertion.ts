import type { Instant } from '../clock/index.ts'
import type { Config } from '../config/index.ts'
import type { SamlAnswer, SamlRequest } from './saml-exchange.ts'
import { refuse } from './saml-response.ts'
import { attribute, children, descend, instantOf, is, readXml, textOf } from './xml.ts'

/** What an assertion must fit. */
export interface Profile {
  /** The provider's entity ID. */
  issuer: string
  request: SamlRequest
  now: Instant
  skewMs: number
  config: Config['saml']
}

const BEARER = 'urn:oasis:names:tc:SAML:2.0:cm:bearer'
const FORMAT = 'urn:oasis:names:tc:SAML:2.0:nameid-format'
const EMAIL_FORMAT = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'
const MAX_ID = 256

/**
 * Who an assertion shows, by the rules of the web browser profile (saml-profiles §4.1.4). `xml` is what was signed, and nothing else.
 * Throws AUTH_LOGIN_FAILED with the reason.
 */
export function readAssertion(xml: string, profile: Profile): SamlAnswer {
  const { issuer, config } = profile
  const root = readXml(xml)
  if (!is(root, 'assertion', 'Assertion') || attribute(root, 'Version') !== '2.0') refuse('it is no SAML 2.0 assertion')
  const named = children(root, 'assertion', 'Issuer')
  if (named.length !== 1 || textOf(named[0]) !== issuer) refuse('another provider issued it')
  const [subject, ...more] = children(root, 'assertion', 'Subject')
  if (!subject || more.length > 0) return refuse('it is not about one subject')
  const expiresAt = confirmedUntil(subject, profile)
  checkConditions(root, profile)
  const sessionEndsAt = sessionEnd(root, profile)
  const attributes = attributesOf(root)
  const one = (name: string): string | undefined =>
    attributes
      .get(name)
      ?.find((value) => value !== '')
      ?.slice(0, 256)
  const { id, email: emailOfId } = userOf(subject, config.userIdAttribute, attributes)
  const email = one(config.emailAttribute) ?? emailOfId
  const name = one(config.nameAttribute)
  return {
    claims: {
      by: 'saml',
      // A provider may speak OpenID too, under the same name; its subjects there are not its subjects here.
      issuer: `saml:${issuer}`,
      subject: id,
      emailVerified: config.trustEmail && email !== undefined,
      groups: attributes.get(config.groupsAttribute) ?? [],
      expiresAt,
      ...(email === undefined ? {} : { email }),
      ...(name === undefined ? {} : { name }),
    },
    ...(sessionEndsAt === undefined ? {} : { sessionEndsAt }),
  }
}

/** Until when whoever bears the assertion is its subject: only here, and only as the answer to our request. */
function confirmedUntil(subject: Element, { request, now, skewMs }: Profile): Instant {
  for (const confirmation of children(subject, 'assertion', 'SubjectConfirmation')) {
    const [data] = children(confirmation, 'assertion', 'SubjectConfirmationData')
    if (!data || attribute(confirmation, 'Method') !== BEARER) continue
    const isOurs = attribute(data, 'Recipient') === request.self.acs && attribute(data, 'InResponseTo') === request.id
    const until = instantOf(attribute(data, 'NotOnOrAfter') ?? '')
    if (isOurs && until > now - skewMs && hasBegun(data, now + skewMs)) return until
  }
  return refuse('its subject is not confirmed for us, for this request and for now')
}

/** Its time, and whom it is for. */
function checkConditions(assertion: Element, { request, now, skewMs }: Profile): void {
  const [conditions, ...more] = children(assertion, 'assertion', 'Conditions')
  if (!conditions || more.length > 0) return refuse('it has no conditions')
  const until = attribute(conditions, 'NotOnOrAfter')
  if (until !== undefined && !(instantOf(until) > now - skewMs)) refuse('it is over')
  if (!hasBegun(conditions, now + skewMs)) refuse('its time has not begun')
  const restrictions = children(conditions, 'assertion', 'AudienceRestriction')
  const names = (restriction: Element): string[] => children(restriction, 'assertion', 'Audience').map(textOf)
  const isForUs = restrictions.length > 0 && restrictions.every((each) => names(each).includes(request.self.entityId))
  if (!isForUs) refuse('it is for another audience')
}

function hasBegun(element: Element, now: Instant): boolean {
  const from = attribute(element, 'NotBefore')
  return from === undefined || instantOf(from) <= now
}

/** When the provider wants the session over, which it must have begun. */
function sessionEnd(assertion: Element, { now }: Profile): Instant | undefined {
  const statements = children(assertion, 'assertion', 'AuthnStatement')
  if (statements.length === 0) refuse('it does not say that anybody was authenticated')
  const ends = statements.flatMap((each) => attribute(each, 'SessionNotOnOrAfter') ?? []).map(instantOf)
  if (ends.length === 0) return undefined
  const end = Math.min(...ends)
  if (!(end > now)) refuse('the session is over')
  return end
}

/** The values of each attribute, by its name and by its friendly name. */
function attributesOf(assertion: Element): Map<string, string[]> {
  const values = new Map<string, string[]>()
  for (const each of descend(assertion, 'assertion', 'AttributeStatement', 'Attribute')) {
    const given = children(each, 'assertion', 'AttributeValue').map((value) => textOf(value).trim())
    for (const name of new Set([attribute(each, 'Name'), attribute(each, 'FriendlyName')]))
      if (name !== undefined) values.set(name, [...(values.get(name) ?? []), ...given])
  }
  return values
}

/** What names the user for good: the configured attribute, else the NameID, exactly as it was given. */
function userOf(
  subject: Element,
  idAttribute: string | undefined,
  attributes: ReadonlyMap<string, string[]>,
): { id: string; email?: string } {
  const [nameId] = children(subject, 'assertion', 'NameID')
  const format = nameId && attribute(nameId, 'Format')
  if (idAttribute === undefined && format === `${FORMAT}:transient`)
    refuse('its NameID is another one each time; saml.userIdAttribute names an attribute that stays')
  const [id = ''] = idAttribute === undefined ? [textOf(nameId)] : (attributes.get(idAttribute) ?? [])
  if (id.trim() === '' || id.length > MAX_ID) refuse('it names no user')
  return { id, ...(format === EMAIL_FORMAT ? { email: textOf(nameId).trim().slice(0, 256) } : {}) }
}
