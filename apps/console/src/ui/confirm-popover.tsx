import { useId, useState, type ReactElement, type ReactNode } from 'react'
import { BlastMark, ConsequenceLines, type Consequences, type Reach } from './blast.tsx'
import { Button } from './button.tsx'
import { keyName } from './kbd.tsx'
import { Note } from './banner.tsx'
import { Popover } from './overlay.tsx'
import { TextInput } from './form.tsx'

/** The consequence beside the button: the four lines, the rule that will ask, and a button that names verb and object. ⌘⏎ confirms. Where there is no undo, the object's name is typed first. */
export function ConfirmPopover(props: {
  trigger: ReactElement
  /** The label, where it is not given. */
  title?: ReactNode
  /** Verb and object: "Suspend 3". */
  verb: string
  reach: Reach
  consequences: Consequences
  asks?: ReactNode
  /** What must be typed, for acts without undo. */
  typeName?: string
  /** Further input the act needs, such as a reason. */
  children?: ReactNode
  off?: string | false
  onConfirm: () => Promise<unknown> | void
  label: string
  align?: 'start' | 'center' | 'end'
  open?: boolean
  onOpenChange?: (open: boolean) => void
}) {
  const [own, setOwn] = useState(false)
  const [busy, setBusy] = useState(false)
  const [typed, setTyped] = useState('')
  const id = useId()
  const open = props.open ?? own
  const setOpen = (next: boolean) => {
    setOwn(next)
    if (!next) setTyped('')
    props.onOpenChange?.(next)
  }
  const missing =
    props.typeName !== undefined && typed.trim() !== props.typeName ? `Type ${props.typeName} first` : false
  const off = props.off || missing
  const confirm = async () => {
    if (off || busy) return
    setBusy(true)
    try {
      await props.onConfirm()
      setOpen(false)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Popover
      trigger={props.trigger}
      open={open}
      onOpenChange={setOpen}
      align={props.align ?? 'end'}
      label={props.label}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) {
          event.preventDefault()
          void confirm()
        }
      }}
    >
      <div className="flex flex-col gap-3 p-4">
        <div className="flex items-center justify-between gap-3 text-s4 font-strong">
          <span className="min-w-0 break-words">{props.title ?? props.label}</span>
          <span className="text-ink-3">
            <BlastMark reach={props.reach} size={18} />
          </span>
        </div>
        <ConsequenceLines of={props.consequences} />
        {props.asks && <Note status="waiting">{props.asks}</Note>}
        {props.children}
        {props.typeName !== undefined && (
          <div className="flex flex-col gap-1">
            <label htmlFor={id} className="text-s2 text-ink-2">
              There is no undo. Type <span className="mono text-ink">{props.typeName}</span> to go on.
            </label>
            <TextInput
              id={id}
              mono
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
              autoComplete="off"
            />
          </div>
        )}
        <div className="mt-1 flex items-center justify-end gap-2">
          <Button tone="quiet" onClick={() => setOpen(false)} hotkey="esc">
            Cancel
          </Button>
          <Button
            tone={props.typeName === undefined ? 'primary' : 'danger-solid'}
            busy={busy}
            off={off}
            onClick={() => void confirm()}
            hotkey={`${keyName('mod')}⏎`}
          >
            {props.verb}
          </Button>
        </div>
      </div>
    </Popover>
  )
}
