import { Tooltip as Radix } from 'radix-ui'
import type { ReactElement, ReactNode } from 'react'

/** Stands once around the whole application: tooltips share their delay. */
export function TooltipProvider(props: { children: ReactNode }) {
  return (
    <Radix.Provider delayDuration={350} skipDelayDuration={150}>
      {props.children}
    </Radix.Provider>
  )
}

/** A few words at the control (inside the main landmark, so that they belong to it), on hover and on focus. Never the only place of a fact, except for a control that is off. */
export function Tooltip(props: {
  text: ReactNode
  children: ReactElement
  side?: 'top' | 'bottom' | 'left' | 'right'
}) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{props.children}</Radix.Trigger>
      <Radix.Portal container={document.getElementById('page')}>
        <Radix.Content
          side={props.side ?? 'top'}
          sideOffset={6}
          collisionPadding={8}
          className="wh-rise z-(--z-palette) max-w-72 rounded-r2 bg-surface-3 px-2 py-1 text-s2 text-ink shadow-e3 ring ring-line-2"
        >
          {props.text}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}
