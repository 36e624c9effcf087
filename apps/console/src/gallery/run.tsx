import { RotateCw, Square } from 'lucide-react'
import { useState } from 'react'
import { BlastChip } from '../ui/blast.tsx'
import { Button } from '../ui/button.tsx'
import { Note } from '../ui/banner.tsx'
import { CodeEditor } from '../ui/code-editor.tsx'
import { Feed } from '../ui/feed.tsx'
import { Graph, type GraphEdge, type GraphNode } from '../ui/graph.tsx'
import { Card, FactsLine, ObjectHeader, Page } from '../ui/page.tsx'
import { Ribbon } from '../ui/sparkline.tsx'
import { StatusPill, type Status } from '../ui/status.tsx'
import { TileMap } from '../ui/tile-map.tsx'
import { Waterfall, type WaterfallRow } from '../ui/waterfall.tsx'
import { machines } from './invented.ts'

const NOW = Date.now()
const ago = (minutes: number) => NOW - minutes * 60_000
const ROWS: WaterfallRow[] = [
  row('resolve', 'ok', 'Resolve targets', [[21, 20.95, 'ok', 'worked']], '2 s'),
  row('snapshot', 'ok', 'Snapshot disks', [[20.9, 19.1, 'ok', 'worked']], '1 m 48 s'),
  row(
    'canary',
    'ok',
    'Patch canary',
    [
      [19.1, 18.6, 'off', 'waited'],
      [18.6, 17.4, 'ok', 'worked'],
    ],
    '1 m 12 s',
  ),
  row(
    'smoke',
    'warning',
    'Smoke tests',
    [
      [17.4, 16.4, 'failed', 'worked'],
      [16.4, 16, 'off', 'waited'],
      [16, 14.8, 'warning', 'worked'],
    ],
    '2 m 37 s',
  ),
  row('approve', 'ok', 'Approve wave 1', [[14.8, 11.3, 'waiting', 'waited']], '3 m 31 s'),
  row('wave', 'running', 'Wave 1', [[3.7, undefined, 'running', 'worked']], '3 m 41 s'),
  {
    ...row(
      'pay',
      'running',
      'pay-api-eu-12',
      [
        [3.7, 3.2, 'off', 'waited'],
        [3.2, 2.4, 'failed', 'worked'],
        [2.2, undefined, 'running', 'worked'],
      ],
      'try 2',
    ),
    depth: 1,
    mono: true,
  },
  row('approve2', 'waiting', 'Approve wave 2', [[3.7, undefined, 'waiting', 'waited']], 'asked'),
]
type Bar = [number, number | undefined, Status, 'worked' | 'waited']
function row(id: string, status: Status, name: string, bars: Bar[], took: string): WaterfallRow {
  return {
    id,
    status,
    name,
    took,
    bars: bars.map(([from, to, state, kind]) => ({
      from: ago(from),
      to: to === undefined ? undefined : ago(to),
      status: state,
      kind,
      words: `${name} ${kind}`,
    })),
  }
}

const GRAPH: GraphNode[] = [
  { id: 'resolve', status: 'ok', word: 'done', name: 'Resolve targets', fact: '58 instances, 2 s' },
  { id: 'snapshot', status: 'ok', word: 'done', name: 'Snapshot disks', fact: '58 of 58, 1 m 48 s' },
  { id: 'hold', status: 'ok', word: 'done', name: 'Hold schedules', fact: '9 tasks, 1 s' },
  { id: 'canary', status: 'warning', word: 'done at the second try', name: 'Patch canary', fact: 'edge-eu-01, 72 s' },
  { id: 'approve', status: 'ok', word: 'approved', name: 'Approve wave 1', fact: 'by sec-duty, 4 m' },
  {
    id: 'wave',
    status: 'running',
    word: 'runs',
    name: 'Wave 1',
    marks: Array.from({ length: 12 }, (_, index) => (index < 8 ? 'ok' : index < 11 ? 'running' : 'off')),
  },
  { id: 'approve2', status: 'waiting', word: 'waits for approval', name: 'Approve wave 2', fact: 'asked, 3 h left' },
  { id: 'rest', status: 'off', word: 'not yet', name: 'Wave 2 and attest', fact: '46 hosts' },
]
const GRAPH_EDGES: GraphEdge[] = [
  { from: 'resolve', to: 'snapshot', state: 'done' },
  { from: 'resolve', to: 'hold', state: 'done' },
  { from: 'snapshot', to: 'canary', state: 'done' },
  { from: 'hold', to: 'canary', state: 'done' },
  { from: 'canary', to: 'approve', state: 'done' },
  { from: 'approve', to: 'wave', state: 'active' },
  { from: 'wave', to: 'rest', state: 'planned' },
  { from: 'approve2', to: 'rest', state: 'planned', label: 'approved' },
]

const TILES = machines(300).map((machine) => ({
  id: machine.id,
  name: machine.id,
  status: machine.status,
  word: machine.word,
  env: machine.env,
}))
const LEVELS = Array.from(
  { length: 72 },
  (_, index) =>
    ({ level: index > 68 ? 'failed' : index === 31 || index > 65 ? 'warning' : index < 3 ? 'none' : 'ok' }) as const,
)

/** A run: waterfall, notes; and the parts of a home page: tiles, ribbons, feed. */
export function RunGallery() {
  const [selected, setSelected] = useState('wave')
  const [text, setText] = useState('id: patch-openssl\nsteps:\n  resolve: { type: worker, topic: job.resolve }\n')
  return (
    <Page scroll>
      <ObjectHeader
        status="running"
        name="Patch OpenSSL fleet"
        pill={<StatusPill status="running">Running for 21 min</StatusPill>}
        verbs={
          <>
            <Button icon={RotateCw}>Rerun from step</Button>
            <Button icon={Square} tone="danger">
              Cancel run
            </Button>
          </>
        }
        facts={
          <div className="flex flex-wrap items-center gap-x-3.5">
            <FactsLine
              facts={[
                { name: 'started by', value: 'sec-duty' },
                { name: 'definition', value: 'patch-openssl@7', mono: true },
                { name: 'trace', value: '6f0c…a913', mono: true },
              ]}
            />
            <BlastChip reach="many" words="58 instances" undo="undo 6 min" />
          </div>
        }
      />
      <div className="p-4 wide:p-5">
        <Note status="running">
          <b>Why a second try?</b> The first ended with exit 100: the package lock was held. The step declares this as
          transient.
        </Note>
      </div>
      <Graph
        label="Steps of the run"
        nodes={GRAPH}
        edges={GRAPH_EDGES}
        selected={selected}
        onSelect={setSelected}
        className="h-[220px] border-b border-line-1"
      />
      <Waterfall label="Steps" rows={ROWS} now={NOW} selected={selected} onSelect={setSelected} />
      <div className="p-4 wide:p-5">
        <CodeEditor
          label="Definition"
          language="yaml"
          value={text}
          onChange={setText}
          problems={text.includes('nothing') ? [{ line: 3, message: 'There is no such type', severity: 'error' }] : []}
          className="h-40"
        />
      </div>
      <div className="grid gap-4 p-4 wide:grid-cols-[minmax(0,1fr)_340px] wide:p-5">
        <Card title="Fleet now" note="one mark is one instance">
          <TileMap
            onOpen={() => {}}
            groups={['production', 'staging', 'development'].map((env) => {
              const tiles = TILES.filter((tile) => tile.env === env)
              return {
                name: env,
                tiles,
                end: `${tiles.filter((tile) => tile.status === 'ok').length} of ${tiles.length}`,
              }
            })}
          />
        </Card>
        <Card title="Last 24 hours" end="20 min a bar">
          <div className="flex flex-col gap-2.5 px-3.5 pb-3.5 text-s2">
            <div>
              <p className="mb-1 flex justify-between">
                Fleet <span className="text-ink-3">99.94 % up</span>
              </p>
              <Ribbon slots={LEVELS} label="Fleet, last 24 hours: failing in the last hour" />
            </div>
          </div>
          <Feed
            label="Activity"
            entries={[
              {
                id: '1',
                at: ago(1),
                status: 'running',
                words: (
                  <>
                    <b>Wave 1</b> patches <span className="mono">edge-us-03</span>, 8 of 12 done
                  </>
                ),
              },
              {
                id: '2',
                at: ago(8),
                status: 'denied',
                words: (
                  <>
                    <b>cost-pilot</b> asked to suspend 6 builders, refused by{' '}
                    <span className="mono">agents-office-hours</span>
                  </>
                ),
              },
              {
                id: '3',
                at: ago(13),
                status: 'ok',
                words: (
                  <>
                    <b>release-lead-eu</b> approved <span className="mono">payments-api</span> for prod-eu
                  </>
                ),
              },
              {
                id: '4',
                at: ago(41),
                status: 'failed',
                words: (
                  <>
                    <span className="mono">edge-eu-07</span> checkout p99 over 500 ms
                  </>
                ),
              },
            ]}
          />
        </Card>
      </div>
    </Page>
  )
}
