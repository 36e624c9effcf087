import { useMemo, useState } from 'react'
import { RANGES, useInstanceEvents, useSeries, type Range } from '../../api/fleet.ts'
import { useMetricStream } from '../../api/instance-streams.ts'
import type { Instance } from '../../api/wire.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { byteRate, bytes, clockTime, span } from '../../ui/age.ts'
import { Chart } from '../../ui/chart.tsx'
import { useNow } from '../../ui/clock.ts'
import { Segmented } from '../../ui/form.tsx'
import { KeyValues, Section } from '../../ui/page.tsx'
import { At } from '../../ui/time.tsx'
import { environmentOf, placeOf } from '../fleet/instance-state.ts'
import { eventWords, MARKED_EVENTS } from './event-words.ts'
import { LogsTab } from './logs-tab.tsx'
import { diskFullAt, instanceSeries } from './series-data.ts'

const percent = (value: number) => `${Math.round(value)} %`
const STEP_MS: Record<Range, number> = { '1h': 60_000, '6h': 300_000, '24h': 300_000, '7d': 3_600_000 }
const RANGE_WORDS: Record<Range, string> = { '1h': '1 h', '6h': '6 h', '24h': '24 h', '7d': '7 d' }

/** What is this machine doing? The charts with what happened marked in them, then its facts. */
export function OverviewTab(props: { instance: Instance }) {
  const { instance } = props
  const [url, setUrl] = useUrlState()
  const range: Range = url['range'] && url['range'] in RANGES ? (url['range'] as Range) : '1h'
  const [zoom, setZoom] = useState<readonly [number, number]>()
  const series = useSeries(instance.id, range)
  const live = useMetricStream(instance.id)
  const events = useInstanceEvents(instance.id)
  const now = useNow(10_000)

  const data = useMemo(
    () => instanceSeries(series.data?.points ?? [], range === '1h' ? live : [], STEP_MS[range]),
    [series.data, live, range],
  )
  const shown = useMemo<readonly [number, number]>(() => zoom ?? [now - RANGES[range].ms, now], [zoom, now, range])
  const markers = useMemo(
    () =>
      (events.data ?? [])
        .filter((event) => MARKED_EVENTS.has(event.type))
        .map((event) => ({ at: Date.parse(event.timestamp), label: eventWords(event).word })),
    [events.data],
  )
  const fullAt = useMemo(() => diskFullAt(data), [data])
  const chart = {
    times: data.times,
    sync: `instance:${instance.id}`,
    range: shown,
    onRange: setZoom,
    markers,
    height: 136,
  }

  return (
    <div className="flex min-h-0 flex-1 flex-col overflow-y-auto">
      <div className="grid flex-none content-start roomy:grid-cols-[minmax(0,1fr)_var(--aside-w)]">
        <div className="min-w-0">
          <div className="flex items-center gap-2 px-3.5 pt-3">
            <Segmented
              label="Range"
              value={range}
              onChange={(value) => {
                setZoom(undefined)
                setUrl({ range: value === '1h' ? undefined : value })
              }}
              options={(Object.keys(RANGES) as Range[]).map((value) => ({ value, label: RANGE_WORDS[value] }))}
            />
            {zoom && (
              <span className="num text-s2 text-ink-3">
                {clockTime(zoom[0])} to {clockTime(zoom[1])}. Double press a chart to return.
              </span>
            )}
          </div>
          {series.isError && !series.data ? (
            <FailureView error={series.error} what="the figures" onRetry={() => void series.refetch()} />
          ) : (
            <div className="grid wide:grid-cols-2">
              <Chart {...chart} title="CPU" series={[{ label: 'used', values: data.cpu }]} format={percent} max={100} />
              <Chart
                {...chart}
                className="border-line-1 wide:border-l"
                title="Memory"
                note={data.memoryTotal > 0 && <span className="text-ink-3">of {bytes(data.memoryTotal)}</span>}
                series={[{ label: 'used', values: data.memory }]}
                format={percent}
                max={100}
              />
              <Chart
                {...chart}
                className="border-t border-line-1"
                title="Disk"
                note={
                  fullAt === undefined ? (
                    data.diskTotal > 0 && <span className="text-ink-3">of {bytes(data.diskTotal)}</span>
                  ) : (
                    <span className={fullAt - now < 86_400_000 ? 'text-failed-text' : 'text-ink-3'}>
                      full in {span(fullAt - now)} at this rate
                    </span>
                  )
                }
                series={[{ label: 'used', values: data.disk }]}
                format={percent}
                max={100}
                threshold={{ value: 93, label: 'nearly full 93 %' }}
              />
              <Chart
                {...chart}
                className="border-t border-line-1 wide:border-l"
                title="Network"
                kind="mirror"
                series={[
                  { label: 'in', values: data.received },
                  { label: 'out', values: data.sent, token: '--data-6' },
                ]}
                format={byteRate}
              />
            </div>
          )}
        </div>
        <aside aria-label="Facts" className="border-line-1 max-[1100px]:border-t roomy:border-l">
          <Section title="Facts">
            <KeyValues
              rows={[
                { name: 'place', value: placeOf(instance) },
                environmentOf(instance) !== undefined && { name: 'environment', value: environmentOf(instance) },
                { name: 'distribution', value: instance.distro ?? '–' },
                { name: 'since', value: <At at={instance.createdAt} /> },
                { name: 'changed', value: <At at={instance.updatedAt} /> },
                { name: 'id', value: instance.id, mono: true },
                instance.sshEndpoint !== null && { name: 'ssh', value: instance.sshEndpoint, mono: true },
                { name: 'extensions', value: instance.extensions.length > 0 ? instance.extensions.join(', ') : 'none' },
                ...Object.entries(instance.tags ?? {}).map(([name, value]) => ({ name, value, mono: true })),
              ]}
            />
          </Section>
          <Section title="What changed">
            {events.data?.length === 0 && <p className="text-s2 text-ink-3">Nothing has happened to it yet.</p>}
            <ol className="text-s2 leading-[21px]">
              {events.data?.slice(0, 8).map((event) => (
                <li key={event.id} className="flex gap-2.5">
                  <At at={event.timestamp} short className="flex-none text-ink-3" />
                  <span className="min-w-0 truncate text-ink-2">
                    <b className="font-medium text-ink">{eventWords(event).word}</b> {eventWords(event).detail}
                  </span>
                </li>
              ))}
            </ol>
          </Section>
        </aside>
      </div>
      <section aria-label="Log tail" className="flex min-h-72 flex-1 flex-col border-t border-line-2 narrow:hidden">
        <LogsTab id={instance.id} name={instance.name} compact />
      </section>
    </div>
  )
}
