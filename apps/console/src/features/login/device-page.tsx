import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { answerDevice, lookAtDevice } from '../../api/session.ts'
import { usePageName } from '../../app/crumbs.ts'
import { useUrlState } from '../../app/url-state.ts'
import { sentence } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, TextInput } from '../../ui/form.tsx'
import { KeyValues, Page, PageHeader } from '../../ui/page.tsx'
import { At, Left } from '../../ui/time.tsx'

/** A device without a browser asks to act for you: look at what waits behind its code, then confirm or refuse. */
export function DevicePage() {
  usePageName({ label: 'Sign in a device' })
  const [url, setUrl] = useUrlState()
  const asked = url['user_code'] ?? ''
  const [typed, setTyped] = useState(asked)
  const [busy, setBusy] = useState(false)
  const [answer, setAnswer] = useState<{ approved: boolean; client: string }>()
  const [error, setError] = useState<string>()
  const waiting = useQuery({
    queryKey: ['device', asked],
    enabled: asked !== '' && answer === undefined,
    retry: false,
    queryFn: () => lookAtDevice(asked),
  })
  const decide = async (approve: boolean) => {
    setBusy(true)
    setError(undefined)
    try {
      setAnswer(await answerDevice(asked, approve))
    } catch (thrown) {
      setError(failureOf(thrown).message)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Page scroll>
      <PageHeader title="Sign in a device" />
      <div className="flex max-w-[560px] flex-col gap-4 px-4 pb-6 wide:px-5">
        <p className="text-ink-2">
          A program without a browser of its own, such as <span className="mono">wheelhouse login</span> on a server,
          shows a code. Type it here to see what asks, then decide.
        </p>
        <form
          className="flex items-end gap-2"
          onSubmit={(event) => {
            event.preventDefault()
            setAnswer(undefined)
            setUrl({ user_code: typed.trim().toUpperCase() })
          }}
        >
          <Field label="Code" help="As the device shows it." className="flex-1">
            {(shape) => (
              <TextInput
                {...shape}
                mono
                autoFocus
                value={typed}
                onChange={(event) => setTyped(event.target.value)}
                autoComplete="off"
                spellCheck={false}
              />
            )}
          </Field>
          <Button type="submit" off={typed.trim() === '' ? 'Type the code first' : undefined} className="mb-[22px]">
            Look
          </Button>
        </form>
        {answer ? (
          <Note status={answer.approved ? 'ok' : 'denied'}>
            <b>{answer.approved ? `${answer.client} is signed in.` : `${answer.client} was refused.`}</b> You can close
            this page.
          </Note>
        ) : waiting.isError ? (
          <Note status="failed">
            {sentence(failureOf(waiting.error).message)} Codes lapse: start the sign-in on the device again.
          </Note>
        ) : (
          waiting.data && (
            <section
              aria-label="What asks"
              className="flex flex-col gap-3 rounded-r3 border border-line-1 bg-surface-2 p-4"
            >
              <p>
                <b className="font-medium">{waiting.data.client}</b> asks to act as you, with everything you may.
              </p>
              <KeyValues
                rows={[
                  { name: 'from', value: waiting.data.ip, mono: true },
                  { name: 'since', value: <At at={waiting.data.startedAt} /> },
                  { name: 'lapses', value: <Left until={waiting.data.expiresAt} /> },
                ]}
              />
              <p className="text-s2 text-ink-2">
                Confirm only what you started yourself, and only if the code is the one on your device.
              </p>
              {error && <Note status="failed">{error}</Note>}
              <div className="flex gap-2">
                <Button tone="primary" busy={busy} onClick={() => void decide(true)}>
                  Sign it in
                </Button>
                <Button tone="danger" busy={busy} onClick={() => void decide(false)}>
                  Refuse
                </Button>
              </div>
            </section>
          )
        )}
      </div>
    </Page>
  )
}
