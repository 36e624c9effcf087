import { lazy, Suspense } from 'react'
import { cx } from './cx.ts'
import type { GraphProps } from './graph-props.ts'

const GraphCanvas = lazy(() => import('./graph-canvas.tsx').then((module) => ({ default: module.GraphCanvas })))

export type { GraphEdge, GraphNode } from './graph-props.ts'

/** A graph of steps, left to right. Arrow keys go along its edges; what it shows also stands in a list or table beside it. */
export function Graph(props: GraphProps & { className?: string }) {
  const { className, ...graph } = props
  return (
    <div className={cx('relative min-h-0 overflow-hidden bg-well', className)}>
      <Suspense fallback={null}>
        <GraphCanvas {...graph} />
      </Suspense>
    </div>
  )
}
