import { Server } from 'lucide-react'
import { useState } from 'react'
import { useJoinToken } from '../../api/admin.ts'
import { failureOf } from '../../api/failure.ts'
import { useRefusal } from '../../app/allowed.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { CommandLine } from '../../ui/code-block.tsx'
import { Field, TextInput } from '../../ui/form.tsx'
import { Left } from '../../ui/time.tsx'
import { parseLabels } from './host-labels.ts'

/** Adding a host: a one-time token in the line that is run there. */
export function HostsTab() {
  const refusal = useRefusal()
  const join = useJoinToken()
  const [name, setName] = useState('')
  const [labels, setLabels] = useState('')
  const parsed = parseLabels(labels)
  const nameError =
    name === '' || /^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/.test(name)
      ? undefined
      : 'Letters, digits, dots, dashes and underscores; it begins and ends with a letter or digit.'
  return (
    <div className="flex max-w-[760px] flex-col gap-5 p-4 wide:p-5">
      <div>
        <h2 className="text-s4 font-strong">Add a host</h2>
        <p className="text-ink-2">
          Make a token, then run the line on the machine. The agent connects outwards; nothing needs to be opened on the
          host.
        </p>
      </div>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          if (nameError || typeof parsed === 'string') return
          join.mutate({ ...(name ? { name } : {}), ...(Object.keys(parsed).length > 0 ? { labels: parsed } : {}) })
        }}
      >
        <Field label="Name" optional help="Without one the host bears its host name." error={nameError}>
          {(shape) => (
            <TextInput
              {...shape}
              mono
              value={name}
              onChange={(event) => setName(event.target.value)}
              placeholder="edge-eu-07"
              autoComplete="off"
              spellCheck={false}
            />
          )}
        </Field>
        <Field
          label="Labels"
          optional
          help="Such as env=production, team=payments. Policy and filters read them."
          error={typeof parsed === 'string' ? parsed : undefined}
        >
          {(shape) => (
            <TextInput
              {...shape}
              mono
              value={labels}
              onChange={(event) => setLabels(event.target.value)}
              placeholder="env=production"
              autoComplete="off"
              spellCheck={false}
            />
          )}
        </Field>
        <div>
          <Button
            type="submit"
            tone="primary"
            icon={Server}
            busy={join.isPending}
            off={refusal('native', 'POST', '/wheelhouse/api/v1/agents/join-tokens')}
          >
            Make a join line
          </Button>
        </div>
      </form>
      {join.isError && <Note status="failed">{failureOf(join.error).message} No token was made.</Note>}
      {join.data && (
        <section aria-label="Join line" className="flex flex-col gap-2">
          <h3 className="text-s2 font-strong">Run this on the host</h3>
          <CommandLine label="Join line" command={join.data.line} />
          <p className="text-s2 text-ink-3">
            Good for one host, <Left until={join.data.expiresAt} />. It stands in the fleet a few seconds after the line
            has run.
          </p>
        </section>
      )}
    </div>
  )
}
