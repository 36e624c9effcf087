import { Pause, RotateCw, Terminal } from 'lucide-react'
import { useEffect, useMemo, useState } from 'react'
import { Banner } from '../ui/banner.tsx'
import { Button, IconButton } from '../ui/button.tsx'
import { Chart } from '../ui/chart.tsx'
import { ConfirmPopover } from '../ui/confirm-popover.tsx'
import { LogHistogram } from '../ui/log-histogram.tsx'
import { LogView, type LogLine } from '../ui/log-view.tsx'
import { FactsLine, ObjectHeader, Page } from '../ui/page.tsx'
import { StatusPill } from '../ui/status.tsx'
import { Tabs, tabPanel } from '../ui/tabs.tsx'
import { TerminalView, type TerminalLink } from '../ui/terminal-view.tsx'
import { logLines, walk } from './invented.ts'

const percent = (value: number) => `${Math.round(value)} %`
const END = Math.floor(Date.now() / 60_000) * 60_000
const TIMES = Array.from({ length: 240 }, (_, index) => END - (240 - index) * 15_000)
const CPU = [
  { label: 'user', values: walk(240, 34, 6, 3) },
  { label: 'system', values: walk(240, 12, 3, 4) },
  { label: 'io wait', values: walk(240, 18, 6, 5) },
]
const LATENCY = [
  { label: 'p50', values: walk(240, 110, 12, 6) },
  { label: 'p99', values: [...walk(80, 220, 30, 7), ...walk(160, 830, 60, 8)], token: '--data-5' },
]
const DISK = [{ label: 'used', values: TIMES.map((_, index) => (index > 100 && index < 112 ? null : 70 + index / 10)) }]
const NETWORK = [
  { label: 'in', values: walk(240, 49, 8, 9) },
  { label: 'out', values: walk(240, 67, 9, 10), token: '--data-6' },
]
const MARKERS = [{ at: TIMES[80] ?? END, label: 'log level → debug' }]

const LINK: TerminalLink = {
  send: () => {},
  resize: () => {},
  open: (write) => {
    write(
      '\u001b[36mops@edge-eu-07\u001b[0m \u001b[90m~\u001b[0m $ df -h /var\r\n/dev/nvme0n1p3   48G   45G  2.9G  \u001b[33m94%\u001b[0m /var\r\n',
    )
    write(
      '\u001b[36mops@edge-eu-07\u001b[0m \u001b[90m~\u001b[0m $ wheelhouse why alert checkout-p99\r\n\u001b[32mlikely cause\u001b[0m  log level set to debug (job 7f3a)\r\n',
    )
    write('\u001b[36mops@edge-eu-07\u001b[0m \u001b[90m~\u001b[0m $ ')
    return () => {}
  },
}

/** One object: header, banner, charts, logs, terminal, and the consequence beside a button. */
export function ObjectGallery() {
  const [tab, setTab] = useState<'overview' | 'logs' | 'events'>('overview')
  const [range, setRange] = useState<readonly [number, number]>()
  const [marked, setMarked] = useState<string>()
  const [paused, setPaused] = useState(false)
  const [lines, setLines] = useState<LogLine[]>(() => logLines(5000))
  useEffect(() => {
    if (paused) return
    const timer = setInterval(() => {
      setLines((now) => [
        ...now,
        {
          id: `n${now.length}`,
          at: Date.now(),
          level: 'info',
          source: 'checkout',
          text: `line ${now.length} after the page opened`,
        },
      ])
    }, 900)
    return () => clearInterval(timer)
  }, [paused])
  const recent = useMemo(() => lines.slice(-3000), [lines])
  const chart = { times: TIMES, sync: 'gallery', range, onRange: setRange }
  return (
    <Page>
      <ObjectHeader
        status="failed"
        name="edge-eu-07"
        mono
        pill={<StatusPill status="failed">2 alerts for 41 min</StatusPill>}
        verbs={
          <>
            <Button icon={Terminal}>Run command</Button>
            <Button icon={RotateCw}>Restart</Button>
            <ConfirmPopover
              label="Suspend edge-eu-07"
              title={
                <>
                  Suspend <span className="mono">edge-eu-07</span>
                </>
              }
              verb="Ask to suspend"
              reach="one"
              trigger={<Button icon={Pause}>Suspend</Button>}
              asks={
                <>
                  <b>Needs 1 approval.</b> Rule <span className="mono">prod-lifecycle</span> asks payments-oncall for
                  every suspend in production.
                </>
              }
              consequences={{
                reach: { level: 2, words: <b>1 instance, 3 services</b>, more: '7 peers take 9 % more each' },
                undo: {
                  level: 1,
                  words: (
                    <>
                      <b>resume in 40 s</b>, memory lost
                    </>
                  ),
                },
                cost: {
                  level: 0,
                  words: (
                    <>
                      saves <b>€3.10 a day</b>
                    </>
                  ),
                },
                data: {
                  level: 1,
                  words: (
                    <>
                      volume kept, <b>14 writes</b> drain first
                    </>
                  ),
                },
              }}
              onConfirm={() => {}}
            />
          </>
        }
        facts={
          <FactsLine
            facts={[
              { name: 'env', value: 'production' },
              { name: 'place', value: 'hetzner fsn1' },
              { name: 'image', value: 'checkout 2026.11.3', mono: true },
              { name: 'size', value: '8 vCPU, 32 GB' },
              { name: 'up', value: '19 d 4 h' },
              { name: 'agent', value: '1.4.0, 2 s ago' },
            ]}
          />
        }
      >
        <Tabs
          id="object"
          label="Parts of edge-eu-07"
          className="-mx-4 border-b-0 px-[7px] wide:-ml-5 wide:px-[11px]"
          value={tab}
          onChange={setTab}
          tabs={[
            { value: 'overview', label: 'Overview' },
            { value: 'logs', label: 'Logs' },
            { value: 'events', label: 'Events', count: 12 },
          ]}
        />
      </ObjectHeader>
      <div {...tabPanel('object', tab)} className="flex min-h-0 flex-1 flex-col overflow-y-auto">
        <Banner
          edge
          status="failed"
          title="Likely cause: log level went from info to debug at 13:48"
          acts={<Button tone="primary">Undo job 7f3a</Button>}
        >
          Job <span className="mono">7f3a</span> by checkout-dev, 3 min before the first alert.
        </Banner>
        <div className="grid flex-none [--chart:1] wide:grid-cols-2">
          <Chart {...chart} title="CPU" series={CPU} kind="stack" format={percent} max={100} markers={MARKERS} />
          <Chart
            {...chart}
            title="Checkout latency"
            className="border-line-1 wide:border-l"
            series={LATENCY}
            format={(value) => `${Math.round(value)} ms`}
            markers={MARKERS}
            threshold={{ value: 500, label: 'objective 500 ms' }}
          />
          <Chart
            {...chart}
            title="Disk"
            note={<span className="text-failed-text">full at 19:40</span>}
            className="border-t border-line-1"
            series={DISK}
            format={percent}
            min={60}
            max={100}
            threshold={{ value: 90, label: 'alert 90 %' }}
          />
          <Chart
            {...chart}
            title="Network"
            className="border-t border-line-1 wide:border-l"
            series={NETWORK}
            kind="mirror"
            format={(value) => `${Math.round(value)} MB/s`}
          />
        </div>
        <div className="grid min-h-72 flex-1 border-t border-line-2 bg-surface-2 wide:grid-cols-[minmax(0,1fr)_452px]">
          <div className="flex min-h-64 min-w-0 flex-col">
            <Tabs
              id="dock"
              label="Dock"
              className="px-[11px]"
              value="tail"
              onChange={() => {}}
              tabs={[{ value: 'tail', label: 'Log tail', mark: <i className="wh-live" data-status="ok" data-beat /> }]}
              end={
                <IconButton
                  icon={Pause}
                  label={paused ? 'Resume' : 'Pause'}
                  size="sm"
                  onClick={() => setPaused(!paused)}
                />
              }
            />
            <div {...tabPanel('dock', 'tail')} className="flex min-h-0 flex-1 flex-col">
              <LogHistogram lines={recent} onJump={setMarked} />
              <LogView
                label="Log of edge-eu-07"
                lines={lines}
                search="612ms"
                marked={marked}
                onMark={setMarked}
                paused={paused}
              />
            </div>
          </div>
          <div className="flex min-h-64 min-w-0 flex-col border-l border-line-2">
            <TerminalView
              link={LINK}
              label="Terminal on edge-eu-07"
              foot={<>recorded as evidence · idle limit 15 min</>}
            />
          </div>
        </div>
      </div>
    </Page>
  )
}
