import { X509Certificate } from 'node:crypto'
import type { Instant } from '../clock/index.ts'
import { attribute, children, descend, instantOf, is, NAMESPACE, readXml, textOf } from './xml.ts'

/** What we trust of the provider. */
export interface ProviderFacts {
  /** Its entity ID. */
  issuer: string
  /** Where it takes requests by HTTP-Redirect. */
  entryPoint: string
  /** Its signing certificates, PEM; more than one while it changes keys. */
  certificates: string[]
}

const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
const MIN_RSA_BITS = 2048

/** Reads the metadata of a provider, or of the one named `issuer` among several. Throws an Error that says what is missing. */
export function readMetadata(text: string, issuer: string | undefined, now: Instant): ProviderFacts {
  const root = readXml(text)
  const entities = is(root, 'metadata', 'EntityDescriptor') ? [root] : descend(root, 'metadata', 'EntityDescriptor')
  const providers = entities
    .flatMap((entity) => children(entity, 'metadata', 'IDPSSODescriptor').map((role) => ({ entity, role })))
    .filter(({ role }) =>
      (attribute(role, 'protocolSupportEnumeration') ?? '').split(/\s+/).includes(NAMESPACE.protocol),
    )
    .filter(({ entity }) => issuer === undefined || attribute(entity, 'entityID') === issuer)
  const [provider, another] = providers
  if (!provider) throw new Error(`no SAML 2.0 provider${issuer === undefined ? '' : ` ${issuer}`} is described`)
  if (another) throw new Error('several providers are described; saml.issuer names the one')
  const { entity, role } = provider
  const name = attribute(entity, 'entityID') ?? ''
  if (name === '') throw new Error('the provider has no entity ID')
  for (const each of [root, entity, role]) {
    const until = attribute(each, 'validUntil')
    if (until !== undefined && !(instantOf(until) > now)) throw new Error(`it was valid until ${until.slice(0, 40)}`)
  }
  const service = children(role, 'metadata', 'SingleSignOnService').find(
    (each) => attribute(each, 'Binding') === REDIRECT,
  )
  const entryPoint = (service && attribute(service, 'Location')) ?? ''
  if (!/^https?:\/\//.test(entryPoint) || !URL.canParse(entryPoint))
    throw new Error('no address for requests by HTTP-Redirect is given')
  const keys = children(role, 'metadata', 'KeyDescriptor').filter((each) => attribute(each, 'use') !== 'encryption')
  const certificates = keys
    .flatMap((each) => descend(each, 'signature', 'KeyInfo', 'X509Data', 'X509Certificate'))
    .flatMap((each) => usableCertificate(Buffer.from(textOf(each), 'base64')) ?? [])
  return { issuer: name, entryPoint, certificates: atLeastOne(certificates) }
}

/** The certificates of a PEM file. Throws an Error when none can be used. */
export const readCertificates = (pem: string): string[] =>
  atLeastOne(
    [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].flatMap(
      ([each]) => usableCertificate(each) ?? [],
    ),
  )

/** One that signatures can be checked with: RSA, of a length that still counts. */
function usableCertificate(given: Buffer | string): string | undefined {
  try {
    const certificate = new X509Certificate(given)
    const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
    const isUsable = asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS
    return isUsable ? certificate.toString() : undefined
  } catch {
    return undefined
  }
}

function atLeastOne(certificates: string[]): string[] {
  if (certificates.length === 0) throw new Error(`it has no certificate of an RSA key of ${MIN_RSA_BITS} bits or more`)
  return certificates
}
