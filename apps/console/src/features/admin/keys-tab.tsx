import { KeyRound, Plus } from 'lucide-react'
import { useState } from 'react'
import { useApiKeys, useKeyChanges, type ApiKey } from '../../api/admin.ts'
import { failureOf } from '../../api/failure.ts'
import { ActButton } from '../../app/act-button.tsx'
import { FailureView } from '../../app/failure-view.tsx'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Checkbox, Field, Select, TextInput } from '../../ui/form.tsx'
import { Dialog } from '../../ui/overlay.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { toast } from '../../ui/toast.tsx'
import { Age, Left } from '../../ui/time.tsx'
import { OneTimeSecret } from './one-time-secret.tsx'
import { PlainTable } from './plain-table.tsx'

const LIVES = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: 'A year' },
  { value: 'never', label: 'Does not expire' },
] as const
const DAY_MS = 86_400_000
type Life = (typeof LIVES)[number]['value']

/** The keys with which programs act for you. */
export function KeysTab() {
  const list = useApiKeys()
  const { revoke } = useKeyChanges()
  const [adding, setAdding] = useState(false)
  const [fresh, setFresh] = useState<{ name: string; secret: string }>()

  return (
    <div className="flex flex-col gap-4 p-4 wide:p-5">
      <div className="flex items-start gap-4">
        <div className="min-w-0 flex-1">
          <h2 className="text-s4 font-strong">Your API keys</h2>
          <p className="text-ink-2">
            A key may never do more than you may. Give each program its own, so that one can be revoked alone.
          </p>
        </div>
        <Button tone="primary" icon={Plus} onClick={() => setAdding(true)}>
          Make a key
        </Button>
      </div>
      {fresh && <OneTimeSecret name={fresh.name} secret={fresh.secret} onDone={() => setFresh(undefined)} />}
      {list.isPending ? (
        <SkeletonRows rows={4} />
      ) : list.isError && !list.data ? (
        <FailureView error={list.error} what="your keys" onRetry={() => void list.refetch()} />
      ) : list.data?.length === 0 ? (
        <EmptyState icon={KeyRound} title="No keys yet" className="px-0!">
          Make one for the command line, a pipeline or an agent.
        </EmptyState>
      ) : (
        <PlainTable
          label="Your API keys"
          heads={['Name', 'Kind', 'Made', 'Last used', 'Ends', '']}
          rows={(list.data ?? []).map((key) => ({
            id: key.id,
            cells: [
              <span key="name" className="block py-1.5">
                <b className="font-medium text-ink">{key.name}</b>
                <span className="block text-s1 text-ink-3">
                  {key.admin ? 'may administer' : 'does not administer'}
                  {key.notes && `, ${key.notes}`}
                </span>
              </span>,
              key.kind,
              <Age key="made" at={key.created} suffix=" ago" />,
              key.lastUsed ? <Age key="used" at={key.lastUsed} suffix=" ago" /> : 'never',
              key.expires ? <Left key="ends" until={key.expires} /> : 'does not',
              <Revoke key="revoke" of={key} onRevoke={() => revoke.mutateAsync(key.id)} />,
            ],
          }))}
        />
      )}
      {adding && (
        <NewKey
          onClose={() => setAdding(false)}
          onMade={(name, secret) => {
            setAdding(false)
            setFresh({ name, secret })
          }}
        />
      )}
    </div>
  )
}

function Revoke(props: { of: ApiKey; onRevoke: () => Promise<unknown> }) {
  const { name } = props.of
  return (
    <ActButton
      button={
        <Button size="sm" tone="danger">
          Revoke
        </Button>
      }
      label={`Revoke ${name}`}
      verb="Revoke it"
      reach="one"
      consequences={{
        reach: { level: 1, words: <b>1 key</b>, more: 'every program that uses it is refused at once' },
        undo: { level: 3, words: 'none, but a new key can be made' },
        cost: { level: 0, words: 'none' },
        data: { level: 0, words: 'none is touched' },
      }}
      run={props.onRevoke}
      onDone={() => toast({ status: 'off', title: `Revoked ${name}` })}
      failed={`Could not revoke ${name}`}
    />
  )
}

function NewKey(props: { onClose: () => void; onMade: (name: string, secret: string) => void }) {
  const { create } = useKeyChanges()
  const [name, setName] = useState('')
  const [life, setLife] = useState<Life>('90')
  const [notes, setNotes] = useState('')
  const [admin, setAdmin] = useState(false)
  const submit = () => {
    if (name.trim() === '') return
    create.mutate(
      {
        name: name.trim(),
        notes: notes.trim(),
        admin,
        expires: life === 'never' ? null : new Date(Date.now() + Number(life) * DAY_MS).toISOString(),
      },
      { onSuccess: (made) => props.onMade(made.name, made.token) },
    )
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && props.onClose()}
      title="Make a key"
      description="It is shown once, on the next screen."
      footer={
        <>
          <Button tone="quiet" onClick={props.onClose}>
            Cancel
          </Button>
          <Button
            tone="primary"
            busy={create.isPending}
            off={name.trim() === '' ? 'Name it first' : undefined}
            onClick={submit}
          >
            Make the key
          </Button>
        </>
      }
    >
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
      >
        <Field label="Name" help="What it is for: you will look for it when it must be revoked.">
          {(shape) => (
            <TextInput
              {...shape}
              value={name}
              maxLength={100}
              onChange={(event) => setName(event.target.value)}
              placeholder="deploy pipeline"
            />
          )}
        </Field>
        <Field label="Ends after">
          {(shape) => <Select label="Ends after" shape={shape} value={life} onChange={setLife} options={LIVES} />}
        </Field>
        <Field label="Notes" optional>
          {(shape) => (
            <TextInput {...shape} value={notes} maxLength={2000} onChange={(event) => setNotes(event.target.value)} />
          )}
        </Field>
        <Checkbox checked={admin} onChange={setAdmin} label="It may also administer, where you may" />
        {create.isError && <Note status="failed">{failureOf(create.error).message} No key was made.</Note>}
      </form>
    </Dialog>
  )
}
