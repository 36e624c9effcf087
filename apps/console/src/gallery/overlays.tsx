import { House, Server, Terminal } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { Button } from '../ui/button.tsx'
import { Field, TextArea } from '../ui/form.tsx'
import { Dialog, Sheet } from '../ui/overlay.tsx'
import { Page, PageHeader } from '../ui/page.tsx'
import { ShortcutsSheet } from '../ui/shortcuts-sheet.tsx'
import { toast } from '../ui/toast.tsx'

const CommandPalette = lazy(() =>
  import('../ui/command-palette.tsx').then((module) => ({ default: module.CommandPalette })),
)

/** What lies above a page. */
export function OverlayGallery() {
  const [open, setOpen] = useState<'palette' | 'keys' | 'dialog' | 'sheet'>()
  const [single, setSingle] = useState(true)
  const close = (next: boolean) => !next && setOpen(undefined)
  return (
    <Page scroll>
      <PageHeader title="Overlays" />
      <div className="flex flex-wrap gap-2 px-5">
        <Button onClick={() => setOpen('palette')}>Open palette</Button>
        <Button onClick={() => setOpen('keys')}>Open keys</Button>
        <Button onClick={() => setOpen('dialog')}>Open dialog</Button>
        <Button onClick={() => setOpen('sheet')}>Open sheet</Button>
        <Button
          onClick={() =>
            toast({
              status: 'ok',
              title: 'Suspended 3 instances',
              text: 'They keep their volumes.',
              act: { label: 'Undo', run: () => {} },
            })
          }
        >
          Show toast
        </Button>
      </div>
      <Suspense fallback={null}>
        {open === 'palette' && (
          <CommandPalette
            open
            onOpenChange={close}
            entries={[
              { id: 'home', label: 'Home', group: 'Go to', icon: House, keys: 'g h', run: () => {} },
              { id: 'fleet', label: 'Instances', group: 'Go to', icon: Server, keys: 'g f', run: () => {} },
              {
                id: 'edge',
                label: 'edge-eu-07',
                hint: 'hetzner fsn1',
                group: 'Instances',
                status: 'failed',
                mono: true,
                run: () => {},
              },
              { id: 'run', label: 'Run a command', group: 'Do', icon: Terminal, keys: 'e', run: () => {} },
            ]}
          />
        )}
      </Suspense>
      <ShortcutsSheet open={open === 'keys'} onOpenChange={close} singleKeys={single} onSingleKeys={setSingle} />
      <Dialog
        open={open === 'dialog'}
        onOpenChange={close}
        title="Reject the promotion"
        description="payments-api 2026.11.4 stays out of prod-eu."
        footer={
          <>
            <Button tone="quiet" onClick={() => setOpen(undefined)}>
              Cancel
            </Button>
            <Button tone="primary">Reject</Button>
          </>
        }
      >
        <Field label="Reason, kept in the evidence">
          {(shape) => <TextArea {...shape} placeholder="What is wrong" />}
        </Field>
      </Dialog>
      <Sheet open={open === 'sheet'} onOpenChange={close} title="Filters" side="bottom">
        <p className="p-4">Facets stand here on a narrow screen.</p>
      </Sheet>
    </Page>
  )
}
