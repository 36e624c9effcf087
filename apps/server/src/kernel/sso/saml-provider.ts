import {
  generateServiceProviderMetadata,
  SAML,
  SamlStatusError,
  ValidateInResponseTo,
  type CacheProvider,
} from '@node-saml/node-saml'
import { type Clock, iso } from '../clock/index.ts'
import type { Config } from '../config/index.ts'
import type { Egress } from '../egress/index.ts'
import { type Profile, readAssertion } from './saml-assertion.ts'
import type { SamlProvider, SamlRequest } from './saml-exchange.ts'
import type { ProviderFacts } from './saml-metadata.ts'
import { checkResponse, refuse } from './saml-response.ts'
import { openTrust } from './saml-trust.ts'

/** How far the provider's clock may be off. */
const SKEW_MS = 60_000

/**
 * The provider behind @node-saml/node-saml: the library makes the request, checks the signature and hands out what was signed. What an
 * assertion must say for us to believe it is then judged on that alone, and does not rest on the library's own reading (docs/adr/0017).
 */
export function samlProvider(config: Config['saml'], egress: Egress, clock: Clock): SamlProvider {
  const trusted = openTrust(config, egress, clock)

  function library({ issuer, entryPoint, certificates }: ProviderFacts, { id, self }: SamlRequest): SAML {
    // The one request that there is.
    const requests: CacheProvider = {
      saveAsync: () => Promise.resolve(null),
      getAsync: (key) => Promise.resolve(key === id ? iso(clock.now()) : null),
      removeAsync: (key) => Promise.resolve(key),
    }
    return new SAML({
      idpIssuer: issuer,
      idpCert: certificates,
      entryPoint,
      issuer: self.entityId,
      audience: self.entityId,
      callbackUrl: self.acs,
      generateUniqueId: () => id,
      cacheProvider: requests,
      validateInResponseTo: ValidateInResponseTo.always,
      wantAssertionsSigned: true,
      wantAuthnResponseSigned: false,
      acceptedClockSkewMs: SKEW_MS,
      // How the provider names and authenticates its users is its own affair.
      identifierFormat: null,
      disableRequestedAuthnContext: true,
    })
  }

  return {
    async requestUrl(request, state) {
      return library(await trusted(), request).getAuthorizeUrlAsync(state, undefined, {})
    },
    async readAnswer(encoded, request) {
      const facts = await trusted()
      checkResponse(encoded, request)
      const { profile } = await library(facts, request)
        .validatePostResponseAsync({ SAMLResponse: encoded })
        .catch((error: unknown) =>
          error instanceof SamlStatusError ? refuse(reasonIn(error), true) : refuse(reasonIn(error)),
        )
      const assertion = profile?.getAssertionXml?.()
      if (assertion === undefined) return refuse('there is no assertion')
      const wanted: Profile = { issuer: facts.issuer, request, now: clock.now(), skewMs: SKEW_MS, config }
      return readAssertion(assertion, wanted)
    },
    metadata: ({ entityId, acs }) =>
      generateServiceProviderMetadata({
        issuer: entityId,
        callbackUrl: acs,
        identifierFormat: null,
        wantAssertionsSigned: true,
      }),
  }
}

/** The library's words, up to where they would quote the document. */
function reasonIn(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split(/[<\n]/, 1)
  return line.trim().slice(0, 120)
}
