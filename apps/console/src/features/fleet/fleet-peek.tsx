import { ArrowRight, X } from 'lucide-react'
import { bytes } from '../../ui/age.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { useKeys } from '../../ui/keys.tsx'
import { useNarrow } from '../../ui/measure.ts'
import { KeyValues, Section } from '../../ui/page.tsx'
import { Sparkline } from '../../ui/sparkline.tsx'
import { StatusPill, StatusShape } from '../../ui/status.tsx'
import { Age, At } from '../../ui/time.tsx'
import type { FleetRow } from './fleet-rows.ts'

/** One instance beside the list, without losing the list. */
export function FleetPeek(props: { row: FleetRow; onClose: () => void; onOpen: () => void }) {
  const { row } = props
  const { instance, metric } = row
  const beat = instance.lastHeartbeat
  const narrow = useNarrow()
  useKeys([{ keys: 'escape', label: 'Close the peek', group: 'Tables', run: props.onClose }])
  if (narrow) return null
  return (
    <aside
      aria-label={`Peek at ${instance.name}`}
      className="wh-appear flex w-90 flex-none flex-col overflow-y-auto border-l border-line-1 bg-surface-2"
    >
      <header className="flex items-center gap-2 px-4 pt-3 pb-1">
        <StatusShape status={row.status} size={16} />
        <h2 className="mono truncate text-s4! font-medium">{instance.name}</h2>
        <span className="flex-1" />
        <IconButton icon={X} label="Close the peek" size="sm" onClick={props.onClose} />
      </header>
      <div className="flex items-center gap-2 px-4 pb-3">
        <StatusPill status={row.status}>{row.word}</StatusPill>
        <span className="flex-1" />
        <Button size="sm" icon={ArrowRight} onClick={props.onOpen} hotkey="⏎">
          Open
        </Button>
      </div>
      <Section title="Now">
        <KeyValues
          rows={[
            { name: 'CPU', value: metric ? `${Math.round(metric.cpuPercent)} %` : 'no data' },
            {
              name: 'memory',
              value: beat
                ? `${bytes(Number(beat.memoryUsedBytes))} of ${bytes(Number(beat.memoryTotalBytes))}`
                : 'no data',
            },
            {
              name: 'disk',
              value: beat ? `${bytes(Number(beat.diskUsedBytes))} of ${bytes(Number(beat.diskTotalBytes))}` : 'no data',
            },
            { name: 'load', value: metric?.loadAvg1 === null || !metric ? 'no data' : metric.loadAvg1.toFixed(2) },
            { name: 'seen', value: <Age at={beat?.timestamp} suffix=" ago" /> },
          ]}
        />
        {row.trend && (
          <div className="mt-2">
            <Sparkline values={row.trend} max={100} width={326} height={44} />
          </div>
        )}
      </Section>
      <Section title="Facts">
        <KeyValues
          rows={[
            { name: 'place', value: row.place },
            row.environment !== undefined && { name: 'environment', value: row.environment },
            { name: 'distribution', value: instance.distro ?? '–' },
            { name: 'since', value: <At at={instance.createdAt} /> },
            { name: 'id', value: instance.id, mono: true },
            { name: 'extensions', value: instance.extensions.length > 0 ? instance.extensions.join(', ') : 'none' },
            ...Object.entries(instance.tags ?? {}).map(([name, value]) => ({ name, value })),
          ]}
        />
      </Section>
    </aside>
  )
}
