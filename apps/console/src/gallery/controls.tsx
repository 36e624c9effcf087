import { Copy, MoreHorizontal, Pause, Play, Plus, RotateCw, Terminal, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { Banner, Note } from '../ui/banner.tsx'
import { Button, IconButton } from '../ui/button.tsx'
import { CodeBlock, CommandLine, JsonView } from '../ui/code-block.tsx'
import { Checkbox, Field, Segmented, Select, Switch, TextArea, TextInput } from '../ui/form.tsx'
import { Menu } from '../ui/overlay.tsx'
import { Card, KeyValues, Page, PageHeader } from '../ui/page.tsx'
import { Tabs, tabPanel } from '../ui/tabs.tsx'
import { Age, At, Left } from '../ui/time.tsx'

/** Buttons, forms, tabs, notes, code. */
export function ControlsGallery() {
  const [tab, setTab] = useState<'roles' | 'users' | 'keys'>('roles')
  const [range, setRange] = useState<'1h' | '24h' | '7d'>('24h')
  const [role, setRole] = useState<'viewer' | 'operator' | 'admin'>('operator')
  const [on, setOn] = useState(true)
  const [picked, setPicked] = useState(true)
  return (
    <Page scroll>
      <PageHeader title="Controls" count="every state">
        <span className="flex-1" />
        <Segmented
          label="Range"
          value={range}
          onChange={setRange}
          options={[
            { value: '1h', label: '1 h' },
            { value: '24h', label: '24 h' },
            { value: '7d', label: '7 d' },
          ]}
        />
        <Button tone="primary" icon={Plus}>
          Add instance
        </Button>
      </PageHeader>
      <Tabs
        id="controls"
        label="Parts"
        className="px-[11px]"
        value={tab}
        onChange={setTab}
        tabs={[
          { value: 'roles', label: 'Roles', count: 9 },
          { value: 'users', label: 'Users', count: 1284 },
          { value: 'keys', label: 'Keys' },
        ]}
      />
      <div {...tabPanel('controls', tab)} className="grid gap-4 p-4 wide:grid-cols-2 wide:px-5">
        <Card title="Buttons">
          <div className="flex flex-wrap gap-2 border-t border-line-1 p-3.5">
            <Button tone="primary">Approve for prod-eu</Button>
            <Button tone="primary" hotkey="a">
              Approve
            </Button>
            <Button icon={Terminal}>Run command</Button>
            <Button icon={RotateCw} hotkey="r">
              Restart
            </Button>
            <Button tone="quiet">Clear all</Button>
            <Button tone="danger" icon={Trash2}>
              Destroy
            </Button>
            <Button off="Needs instance:suspend. An administrator can grant it." icon={Pause}>
              Suspend
            </Button>
            <Button busy icon={Play}>
              Resume
            </Button>
            <Button size="sm">Small</Button>
            <Button size="sm" tone="primary">
              Small primary
            </Button>
            <IconButton icon={Copy} label="Copy" />
            <IconButton icon={Copy} label="Copy, edged" edged />
            <Menu
              label="More"
              trigger={<IconButton icon={MoreHorizontal} label="More verbs" edged />}
              entries={[
                { label: 'Snapshot', icon: Copy, run: () => {} },
                { label: 'Suspend', icon: Pause, off: 'Needs instance:suspend', run: () => {} },
                { kind: 'line' },
                { label: 'Destroy', icon: Trash2, danger: true, run: () => {} },
              ]}
            />
          </div>
        </Card>
        <Card title="Form">
          <div className="flex flex-col gap-3.5 border-t border-line-1 p-3.5">
            <Field label="Name" help="Lower case, digits and dashes. It names the instance for ever.">
              {(shape) => <TextInput {...shape} mono defaultValue="edge-eu-07" />}
            </Field>
            <Field label="Timeout" error="300 s is the most a command may take. Enter 1 to 300.">
              {(shape) => <TextInput {...shape} defaultValue="900" />}
            </Field>
            <Field label="Role">
              {(shape) => (
                <Select
                  label="Role"
                  shape={shape}
                  value={role}
                  onChange={setRole}
                  options={[
                    { value: 'viewer', label: 'viewer', hint: 'reads' },
                    { value: 'operator', label: 'operator', hint: 'reads, runs, decides' },
                    { value: 'admin', label: 'admin', hint: 'everything of the tenant' },
                  ]}
                />
              )}
            </Field>
            <Field label="Reason, kept in the evidence" optional>
              {(shape) => <TextArea {...shape} placeholder="What you checked" />}
            </Field>
            <div className="flex items-center gap-5">
              <Checkbox checked={picked} onChange={setPicked} label="Take a snapshot first" />
              <Checkbox checked="some" onChange={() => {}} label="Some" />
              <span className="flex items-center gap-2">
                <Switch checked={on} onChange={setOn} label="Strict roles" /> Strict roles
              </span>
            </div>
          </div>
        </Card>
        <Banner
          status="waiting"
          title="Blocked: one more approval from service-owners"
          acts={<Button>Nudge payments-oncall</Button>}
        >
          Everything else has passed. Starts when the approval arrives; lapses at 15:24.
        </Banner>
        <Banner
          status="failed"
          title="Likely cause: log level went from info to debug at 13:48"
          acts={<Button tone="primary">Undo job 7f3a</Button>}
        >
          Job <span className="mono">7f3a</span> by checkout-dev, 3 min before the first alert.
        </Banner>
        <Card title="Notes and times">
          <div className="flex flex-col gap-2.5 border-t border-line-1 p-3.5">
            <Note status="running">
              <b>Why a second try?</b> The first ended with exit 100: the package lock was held.
            </Note>
            <Note status="waiting">
              <b>Needs 1 approval.</b> Rule <span className="mono">prod-lifecycle</span> asks payments-oncall.
            </Note>
            <KeyValues
              rows={[
                { name: 'seen', value: <Age at={Date.now() - 41 * 60_000} suffix=" ago" /> },
                { name: 'lapses', value: <Left until={Date.now() + 52 * 60_000} /> },
                { name: 'decided', value: <At at="2026-11-22T14:19:00Z" /> },
                { name: 'digest', value: 'sha256:41d0…e8c3', mono: true },
              ]}
            />
          </div>
        </Card>
        <Card title="Code">
          <div className="flex flex-col gap-2.5 border-t border-line-1 p-3.5">
            <CommandLine command="wheelhouse agent join --url https://wheelhouse.example --token wh_…" />
            <CodeBlock
              label="Diff"
              text={'- sha256:9f1c…27ab  2026.11.3\n+ sha256:41d0…e8c3  2026.11.4\n+ LEDGER_BATCH=250'}
            />
            <JsonView
              label="Arguments"
              value={{
                command: 'systemctl',
                args: ['restart', 'checkout'],
                timeoutMs: 30_000,
                dryRun: false,
                owner: null,
              }}
            />
          </div>
        </Card>
      </div>
    </Page>
  )
}
