import { KeyRound } from 'lucide-react'
import type { AuthConfig } from '../../api/wire.ts'
import { Button } from '../../ui/button.tsx'

/** A way in through an identity provider: where it begins, and what it is called. */
interface Provider {
  name: string
  url: string
  /** What its beginning is asked for beside the page to come back to. */
  query: Record<string, string>
}

/** Signing in through the identity providers that the server knows; the browser comes back to `back` with a cookie. */
export function Providers(props: { config: AuthConfig | undefined; back: string; primary: boolean }) {
  return providersOf(props.config).map(({ name, url, query }) => (
    <Button
      key={name}
      icon={KeyRound}
      tone={props.primary ? 'primary' : 'plain'}
      className="w-full"
      onClick={() => {
        const target = new URL(url, location.origin)
        for (const [key, value] of Object.entries({ redirect: props.back, ...query }))
          target.searchParams.set(key, value)
        location.assign(target)
      }}
    >
      Sign in with {name}
    </Button>
  ))
}

function providersOf(config: AuthConfig | undefined): Provider[] {
  const { oidc_enabled, oidc_login_url, oidc_issuer, saml_enabled, saml_login_url } = config ?? {}
  return [
    ...(oidc_enabled && oidc_login_url ? [{ name: hostOf(oidc_issuer), url: oidc_login_url, query: {} }] : []),
    ...(saml_enabled && saml_login_url ? [{ name: 'SAML', url: saml_login_url, query: { session: 'cookie' } }] : []),
  ]
}

function hostOf(issuer: string | undefined): string {
  return issuer && URL.canParse(issuer) ? new URL(issuer).host : 'your identity provider'
}
