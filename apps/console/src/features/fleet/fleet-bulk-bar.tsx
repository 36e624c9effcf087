import { Pause, Play, Terminal, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { useBulkAction } from '../../api/fleet.ts'
import type { BulkResult } from '../../api/wire.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { plural } from '../../ui/age.ts'
import { BlastChip, reachOf } from '../../ui/blast.tsx'
import { BulkBar } from '../../ui/bulk-bar.tsx'
import { Button } from '../../ui/button.tsx'
import { toast } from '../../ui/toast.tsx'
import { BulkCommand } from './bulk-command.tsx'
import { lifecycleConsequences } from './consequences.tsx'
import type { FleetRow } from './fleet-rows.ts'

const MOST = 50

/** The verbs of a selection of instances. */
export function FleetBulkBar(props: { rows: readonly FleetRow[]; onClear: () => void }) {
  const { rows } = props
  const act = useBulkAction()
  const refusal = useRefusal()
  const [command, setCommand] = useState(false)
  const [open, setOpen] = useState<'suspend' | 'resume' | 'destroy'>()
  const tooMany = rows.length > MOST ? `One call takes ${MOST} instances. Select fewer.` : undefined
  const running = rows.filter((row) => row.instance.status === 'RUNNING')
  const resting = rows.filter((row) => ['SUSPENDED', 'STOPPED', 'ERROR'].includes(row.instance.status))

  const verb = (
    action: 'suspend' | 'resume' | 'destroy',
    of: readonly FleetRow[],
    icon: typeof Pause,
    none: string,
  ) => {
    const name = `${action.slice(0, 1).toUpperCase()}${action.slice(1)}`
    const off =
      refusal('fleet', 'POST', '/api/v1/instances/bulk-action') ?? tooMany ?? (of.length === 0 ? none : undefined)
    const { reach, lines } = lifecycleConsequences(action, of.length)
    const instanceIds = of.map((row) => row.id)
    return (
      <ActButton
        button={
          <Button size="sm" icon={icon} off={off} tone={action === 'destroy' ? 'danger' : 'plain'}>
            {name}
          </Button>
        }
        off={off}
        label={`${name} ${plural(of.length, 'instance')}`}
        verb={`${name} ${of.length}`}
        reach={reach}
        consequences={lines}
        {...(action === 'destroy'
          ? { typeName: of.length === 1 ? (of[0]?.instance.name ?? '') : `destroy ${of.length}` }
          : {})}
        open={open === action}
        onOpenChange={(next) => setOpen(next ? action : undefined)}
        run={() => act.mutateAsync({ instanceIds, action })}
        onDone={(result) => {
          tell(action, result, () => act.mutate({ instanceIds, action: 'resume' }))
          if (result.summary.failed === 0) props.onClear()
        }}
        failed={`Could not ${action}`}
        align="center"
      />
    )
  }

  return (
    <>
      <BulkBar
        count={rows.length}
        onClear={props.onClear}
        blast={<BlastChip reach={reachOf(rows.length)} words={plural(rows.length, 'instance')} />}
      >
        <Button
          size="sm"
          tone="primary"
          icon={Terminal}
          off={refusal('fleet', 'POST', '/api/v1/commands/bulk') ?? tooMany}
          onClick={() => setCommand(true)}
        >
          Run command
        </Button>
        {verb('suspend', running, Pause, 'None of these is running.')}
        {verb('resume', resting, Play, 'None of these is at rest.')}
        {verb('destroy', rows, Trash2, '')}
      </BulkBar>
      {command && <BulkCommand rows={rows} onClose={() => setCommand(false)} />}
    </>
  )
}

function tell(action: 'suspend' | 'resume' | 'destroy', result: BulkResult, undo: () => void) {
  const { succeeded, failed } = result.summary
  const past = { suspend: 'Suspended', resume: 'Resumed', destroy: 'Destroyed' }[action]
  const failures = result.results.filter((each) => !each.success)
  toast({
    status: failed === 0 ? 'ok' : 'warning',
    title: `${past} ${plural(succeeded, 'instance')}${failed > 0 ? `, ${failed} failed` : ''}`,
    ...(failures[0] ? { text: `${failures[0].name}: ${failures[0].error ?? 'no reason given'}` } : {}),
    ...(action === 'suspend' && succeeded > 0 ? { act: { label: 'Undo', run: undo } } : {}),
  })
}
