import type { ComponentProps, ReactElement } from 'react'
import { ConfirmPopover } from '../ui/confirm-popover.tsx'
import { failureToast } from './failure-toast.ts'

type Confirmed = Omit<ComponentProps<typeof ConfirmPopover>, 'trigger' | 'off' | 'onConfirm'>

/** An act of one button: confirmed beside it, done, and told either way. While it is off there is the button alone, which says why. */
export function ActButton<T>(
  props: Confirmed & {
    button: ReactElement
    off?: string | undefined
    run: () => Promise<T>
    /** After it was done: says so. */
    onDone: (answer: T) => unknown
    /** What did not happen, when it fails: "Not removed". */
    failed: string
  },
) {
  const { button, off, run, onDone, failed, ...confirmed } = props
  if (off) return button
  return <ConfirmPopover {...confirmed} trigger={button} onConfirm={() => run().then(onDone, failureToast(failed))} />
}
