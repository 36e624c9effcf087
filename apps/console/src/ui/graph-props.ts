import type { LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Status } from './status.tsx'

export interface GraphNode {
  id: string
  status: Status
  /** In place of the state's shape, where there is no state: what kind of step it is. */
  icon?: LucideIcon | undefined
  /** The state in a word, for who does not see the shape. */
  word: string
  name: string
  /** The one thing worth knowing: who, how long, how many. */
  fact?: ReactNode
  /** One mark an item of a fan-out; there is room for twelve. */
  marks?: readonly Status[]
  /** Something is wrong with its definition. */
  faulty?: boolean
}

export interface GraphEdge {
  from: string
  to: string
  /** done: it was passed. active: it is passed now. planned: not yet. dead: it will not be. */
  state: 'done' | 'active' | 'planned' | 'dead'
  /** A word at the line: the branch, or the end that it waits for. */
  label?: string
}

export interface GraphProps {
  /** What the graph is of. */
  label: string
  nodes: readonly GraphNode[]
  edges: readonly GraphEdge[]
  selected?: string | undefined
  onSelect?: ((id: string) => void) | undefined
}

export const NODE_WIDTH = 150
export const NODE_HEIGHT = 50
