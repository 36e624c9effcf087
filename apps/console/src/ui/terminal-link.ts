import type { ReactNode } from 'react'

/** What connects a terminal to its shell: bytes as text, both ways, and the size. */
export interface TerminalLink {
  /** Called for everything typed or pasted. */
  send: (data: string) => void
  resize: (cols: number, rows: number) => void
  /** Calls `write` for all output until the returned function is called. */
  open: (write: (data: string) => void, cols: number, rows: number) => () => void
}

export interface TerminalViewProps {
  link: TerminalLink
  label: string
  /** Facts at the foot: recorded, idle limit, shell and size. */
  foot?: ReactNode
  /** `esc esc` leaves the terminal, so that focus is never trapped. */
  onLeave?: () => void
}
