import { useRoles } from '../../api/admin.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { PlainTable } from './plain-table.tsx'

/** What each role may: its permissions, and which NATS subjects and extensions it reaches. */
export function RolesTab() {
  const roles = useRoles()
  return (
    <div className="flex flex-col gap-4 p-4 wide:p-5">
      <div>
        <h2 className="text-s4 font-strong">Roles</h2>
        <p className="text-ink-2">
          Permissions are resource:action. Subjects are what its keys may publish and subscribe to.
        </p>
      </div>
      {roles.isPending ? (
        <SkeletonRows rows={6} />
      ) : roles.isError && !roles.data ? (
        <FailureView error={roles.error} what="the roles" onRetry={() => void roles.refetch()} />
      ) : (
        <PlainTable
          label="Roles"
          heads={['Role', 'Permissions', 'Publishes', 'Subscribes', 'Sees extensions']}
          rows={(roles.data ?? []).map((role) => ({
            id: role.name,
            cells: [
              <span key="name" className="block py-1.5">
                <b className="mono font-medium text-ink">{role.name}</b>
                <span className="block text-s1 text-ink-3">
                  {[role.description, role.builtin ? 'built in' : 'made here'].filter(Boolean).join(' · ')}
                </span>
              </span>,
              <Patterns key="permissions" of={role.grants} />,
              <Patterns key="pub" of={role.permissions.pub.allow ?? []} />,
              <Patterns key="sub" of={role.permissions.sub.allow ?? []} />,
              role.extensions.join(', ').replace(/^\*$/, 'all') || 'none',
            ],
          }))}
        />
      )}
    </div>
  )
}

function Patterns(props: { of: readonly string[] }) {
  const { of } = props
  if (of.length === 0) return <span className="text-ink-3">none</span>
  const shown = of.slice(0, 4)
  return (
    <span className="mono" title={of.join('\n')}>
      {shown.join(' ')}
      {of.length > shown.length && <span className="text-ink-3"> and {of.length - shown.length} more</span>}
    </span>
  )
}
