import { randomBytes } from 'node:crypto'
import type { Instant } from '../clock/index.ts'
import type { ExternalClaims } from '../identity/index.ts'

/** The configured SAML 2.0 provider. */
export interface SamlProvider {
  /** The address to send a browser to with the request; `state` comes back with the answer. Throws EGRESS_FAILED where the provider's metadata cannot be had. */
  requestUrl(request: SamlRequest, state: string): Promise<string>
  /**
   * Who is shown by the form field of the provider's answer. Throws AUTH_LOGIN_FAILED (`reason`; `declined` where the provider said no)
   * for whatever is not signed by the provider, fresh, for us, and the answer to this very request.
   */
  readAnswer(encoded: string, request: SamlRequest): Promise<SamlAnswer>
  /** What the provider is told of us, XML. */
  metadata(self: SamlSelf): string
}

/** Who we are to the provider: the same when asking and when the answer is checked. */
export interface SamlSelf {
  entityId: string
  /** The one address that takes answers. */
  acs: string
}

export interface SamlRequest {
  id: string
  self: SamlSelf
}

export interface SamlAnswer {
  claims: ExternalClaims
  /** When the provider wants the session to end, if it says so. */
  sessionEndsAt?: Instant
}

/** A request that nobody can guess. */
export const newRequest = (self: SamlSelf): SamlRequest => ({ id: `_${randomBytes(20).toString('hex')}`, self })
