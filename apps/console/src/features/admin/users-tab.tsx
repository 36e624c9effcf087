import { Plus, UsersRound } from 'lucide-react'
import { useState } from 'react'
import { useUserChanges, useUsers, type NewUser } from '../../api/admin.ts'
import { failureOf } from '../../api/failure.ts'
import { useSession } from '../../api/session.ts'
import type { User } from '../../api/wire.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Select, TextInput } from '../../ui/form.tsx'
import { Dialog } from '../../ui/overlay.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { toast } from '../../ui/toast.tsx'
import { Age } from '../../ui/time.tsx'
import { passwordFault } from './password-rule.ts'
import { PlainTable } from './plain-table.tsx'

const ROLES = [
  { value: 'viewer', label: 'viewer', hint: 'sees' },
  { value: 'user', label: 'user', hint: 'sees, submits jobs' },
  { value: 'developer', label: 'developer', hint: 'runs commands, creates releases' },
  { value: 'operator', label: 'operator', hint: 'runs the fleet, decides' },
  { value: 'release-manager', label: 'release-manager', hint: 'promotes anywhere' },
  { value: 'approver', label: 'approver', hint: 'sees, decides' },
  { value: 'security', label: 'security', hint: 'sees, reads audit and evidence' },
  { value: 'admin', label: 'admin', hint: 'everything of the tenant' },
] as const
type RoleName = (typeof ROLES)[number]['value']

/** Who may sign in, and as what. */
export function UsersTab() {
  const users = useUsers()
  const { data: session } = useSession()
  const refusal = useRefusal()
  const { update, remove } = useUserChanges()
  const [adding, setAdding] = useState(false)
  const off = refusal('jobs', 'POST', '/api/v1/users')

  const change = (user: User, role: RoleName) =>
    update.mutate(
      { id: user.id, roles: [role] },
      {
        onSuccess: () => toast({ status: 'ok', title: `${user.username} is ${role} now` }),
        onError: failureToast(`Could not change ${user.username}`),
      },
    )

  return (
    <div className="flex flex-col gap-4 p-4 wide:p-5">
      <div className="flex items-start gap-4">
        <div className="min-w-0 flex-1">
          <h2 className="text-s4 font-strong">Users</h2>
          <p className="text-ink-2">Who may sign in to this tenant, and as what. Changes hold at their next request.</p>
        </div>
        <Button tone="primary" icon={Plus} off={off} onClick={() => setAdding(true)}>
          Add a user
        </Button>
      </div>
      {users.isPending ? (
        <SkeletonRows rows={5} />
      ) : users.isError && !users.data ? (
        <FailureView error={users.error} what="the users" onRetry={() => void users.refetch()} />
      ) : users.data?.length === 0 ? (
        <EmptyState icon={UsersRound} title="No users yet" className="px-0!">
          Keys work without users. Add one for every person.
        </EmptyState>
      ) : (
        <PlainTable
          label="Users"
          heads={['Name', 'E-mail', 'Role', 'Last seen', 'Added', '']}
          rows={(users.data ?? []).map((user) => {
            const role = ROLES.find((each) => each.value === user.roles?.[0])?.value
            const self = user.id === session?.principal.id
            const kept = off ?? (self ? 'You cannot remove yourself.' : undefined)
            return {
              id: user.id,
              cells: [
                <b key="name" className="font-medium text-ink">
                  {user.display_name ?? user.username}
                  {self && <span className="ml-1.5 font-text text-ink-3">you</span>}
                </b>,
                user.email ?? '–',
                self || off || !role ? (
                  <span key="role" className="mono">
                    {user.roles?.join(', ') ?? '–'}
                  </span>
                ) : (
                  <Select
                    key="role"
                    size="sm"
                    label={`Role of ${user.username}`}
                    value={role}
                    onChange={(next) => change(user, next)}
                    options={ROLES}
                    className="min-w-36"
                  />
                ),
                user.last_login_at ? <Age key="seen" at={user.last_login_at} suffix=" ago" /> : 'never',
                <Age key="added" at={user.created_at} suffix=" ago" />,
                <ActButton
                  key="remove"
                  button={
                    <Button size="sm" tone="danger" off={kept}>
                      Remove
                    </Button>
                  }
                  off={kept}
                  label={`Remove ${user.username}`}
                  verb="Remove the user"
                  reach="one"
                  consequences={{
                    reach: { level: 1, words: <b>1 user</b>, more: 'with their sessions and keys' },
                    undo: { level: 2, words: 'add the user again; keys must be made anew' },
                    cost: { level: 0, words: 'none' },
                    data: { level: 0, words: 'what they did stays in the trail' },
                  }}
                  run={() => remove.mutateAsync(user.id)}
                  onDone={() => toast({ status: 'off', title: `Removed ${user.username}` })}
                  failed={`Could not remove ${user.username}`}
                />,
              ],
            }
          })}
        />
      )}
      {adding && <AddUser onClose={() => setAdding(false)} />}
    </div>
  )
}

function AddUser(props: { onClose: () => void }) {
  const { create } = useUserChanges()
  const [user, setUser] = useState<NewUser>({ username: '', password: '', email: '', role: 'developer' })
  const [left, setLeft] = useState(false)
  const set = (changes: Partial<NewUser>) => setUser((now) => ({ ...now, ...changes }))
  const fault = left ? passwordFault(user.password) : undefined
  const off = user.username.trim() === '' ? 'Name the user first' : passwordFault(user.password)
  const submit = () => {
    if (off) return
    const { email, ...rest } = user
    create.mutate(
      { ...rest, username: user.username.trim(), ...(email ? { email } : {}) },
      {
        onSuccess: () => {
          toast({ status: 'ok', title: `Added ${user.username}` })
          props.onClose()
        },
      },
    )
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && props.onClose()}
      title="Add a user"
      footer={
        <>
          <Button tone="quiet" onClick={props.onClose}>
            Cancel
          </Button>
          <Button tone="primary" busy={create.isPending} off={off} onClick={submit}>
            Add the user
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
        <Field label="Name">
          {(shape) => (
            <TextInput
              {...shape}
              value={user.username}
              onChange={(event) => set({ username: event.target.value })}
              autoComplete="off"
            />
          )}
        </Field>
        <Field label="E-mail" optional>
          {(shape) => (
            <TextInput
              {...shape}
              type="email"
              value={user.email}
              onChange={(event) => set({ email: event.target.value })}
              autoComplete="off"
            />
          )}
        </Field>
        <Field
          label="Password"
          help="At least 12 characters, with a capital, a digit and a sign. Tell it to them; they can change it."
          error={fault}
        >
          {(shape) => (
            <TextInput
              {...shape}
              type="password"
              value={user.password}
              onChange={(event) => set({ password: event.target.value })}
              onBlur={() => setLeft(user.password !== '')}
              autoComplete="new-password"
            />
          )}
        </Field>
        <Field label="Role">
          {(shape) => (
            <Select
              label="Role"
              shape={shape}
              value={user.role as RoleName}
              onChange={(role) => set({ role })}
              options={ROLES}
            />
          )}
        </Field>
        {create.isError && <Note status="failed">{failureOf(create.error).message} No user was added.</Note>}
      </form>
    </Dialog>
  )
}
