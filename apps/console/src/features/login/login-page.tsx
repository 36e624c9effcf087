import { useRouter } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { useAuthConfig, useSession, useSignIn } from '../../api/session.ts'
import { usePageName } from '../../app/crumbs.ts'
import { Mark } from '../../app/mark.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, TextInput } from '../../ui/form.tsx'
import { ErrorState } from '../../ui/states.tsx'
import { providerFailure } from './provider-failure.ts'
import { Providers } from './providers.tsx'
import { safeReturn } from './safe-return.ts'

/** Signing in with a name and a password, or through the identity provider. */
export function LoginPage() {
  usePageName({ label: 'Sign in' })
  const [url] = useUrlState()
  const router = useRouter()
  const session = useSession()
  const config = useAuthConfig()
  const { signIn } = useSignIn()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [tenant, setTenant] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState(() => providerFailure(url['error']))
  // As it was asked for: the address changes before this page is gone.
  const [back] = useState(() => safeReturn(url['to'] ?? url['redirect']))

  const signedIn = Boolean(session.data)
  useEffect(() => {
    if (signedIn) router.history.replace(back)
  }, [signedIn, router, back])
  if (signedIn) return null

  const submit = async () => {
    setBusy(true)
    setError(undefined)
    try {
      await signIn(name.trim(), password, tenant.trim() || (config.data?.default_tenant ?? 'default'))
    } catch (thrown) {
      const failure = failureOf(thrown)
      setError(
        failure.message === 'invalid credentials'
          ? 'The name or the password is not right. Nothing else is told, so that names cannot be guessed.'
          : failure.kind === 'busy'
            ? 'Too many tries. Wait a quarter of an hour, or ask an administrator.'
            : failure.message,
      )
      setPassword('')
    } finally {
      setBusy(false)
    }
  }

  const passwords = config.data?.password_enabled !== false
  return (
    <main id="page" className="grid min-h-dvh place-items-center bg-surface-0 p-4">
      <div className="w-full max-w-[360px]">
        <div className="mb-5 flex items-center justify-center gap-2.5">
          <Mark size={28} />
          <h1 className="text-s6 font-strong tracking-(--track-tight)">Wheelhouse</h1>
        </div>
        <section aria-label="Sign in" className="rounded-r4 border border-line-1 bg-surface-1 p-6 shadow-e2">
          {config.isError ? (
            <ErrorState
              className="px-0! py-2!"
              title="The server does not answer"
              onRetry={() => void config.refetch()}
            >
              {failureOf(config.error).message}
            </ErrorState>
          ) : (
            <form
              className="flex flex-col gap-4"
              onSubmit={(event) => {
                event.preventDefault()
                void submit()
              }}
            >
              {error && <Note status="failed">{error}</Note>}
              {passwords && (
                <>
                  <Field label="Name" help="Or the e-mail address.">
                    {(shape) => (
                      <TextInput
                        {...shape}
                        value={name}
                        onChange={(event) => setName(event.target.value)}
                        autoComplete="username"
                        autoFocus
                        required
                      />
                    )}
                  </Field>
                  <Field label="Password" help="An API key works as well.">
                    {(shape) => (
                      <TextInput
                        {...shape}
                        type="password"
                        value={password}
                        onChange={(event) => setPassword(event.target.value)}
                        autoComplete="current-password"
                        required
                      />
                    )}
                  </Field>
                  <Field label="Tenant" optional>
                    {(shape) => (
                      <TextInput
                        {...shape}
                        mono
                        value={tenant}
                        placeholder={config.data?.default_tenant ?? 'default'}
                        onChange={(event) => setTenant(event.target.value)}
                        autoComplete="organization"
                      />
                    )}
                  </Field>
                  <Button type="submit" tone="primary" busy={busy} className="w-full">
                    Sign in
                  </Button>
                </>
              )}
              <Providers config={config.data} back={back} primary={!passwords} />
            </form>
          )}
        </section>
      </div>
    </main>
  )
}
