import './graph-canvas.css'
import {
  Background,
  BackgroundVariant,
  type Edge,
  getViewportForBounds,
  Handle,
  type Node,
  type NodeProps,
  Panel,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  useStore,
} from '@xyflow/react'
import { Maximize, Minus, Plus } from 'lucide-react'
import { createContext, useContext, useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react'
import { cx } from './cx.ts'
import { placeNodes, type Place } from './graph-layout.ts'
import { neighbour } from './graph-keys.ts'
import { type GraphEdge, type GraphNode, type GraphProps, NODE_HEIGHT, NODE_WIDTH } from './graph-props.ts'
import { StatusShape, type Status } from './status.tsx'

type StepNode = Node<{ node: GraphNode }, 'step'>

interface Picked {
  selected: string | undefined
  /** The one node that Tab reaches; arrows go on from there. */
  tabStop: string | undefined
  onSelect(id: string): void
}

const PickedContext = createContext<Picked>({ selected: undefined, tabStop: undefined, onSelect: () => {} })
const TYPES = { step: StepCard }
/** Under this zoom the names are too small. */
const READABLE = 0.6
const CLOSE = 0.85
const FIT = { padding: 0.12, maxZoom: 1, minZoom: 0.4 }

export function GraphCanvas(props: GraphProps) {
  return (
    <ReactFlowProvider>
      <Flow {...props} />
    </ReactFlowProvider>
  )
}

function Flow(props: GraphProps) {
  const { nodes, edges, selected, onSelect } = props
  const frame = useRef<HTMLDivElement>(null)
  const places = usePlaces(nodes, edges)
  const flow = useReactFlow()
  const shown = useMemo(
    () =>
      nodes.flatMap((node): StepNode[] => {
        const place = places?.get(node.id)
        return place
          ? [{ id: node.id, type: 'step', position: place, data: { node }, width: NODE_WIDTH, height: NODE_HEIGHT }]
          : []
      }),
    [nodes, places],
  )
  const lines = useMemo(
    () =>
      edges.map((edge): Edge => ({
        id: `${edge.from}>${edge.to}`,
        source: edge.from,
        target: edge.to,
        className: `wh-edge-${edge.state}`,
        focusable: false,
        ...(edge.label ? { label: edge.label } : {}),
      })),
    [edges],
  )
  const first = useMemo(
    () => (nodes.find(({ id }) => !edges.some(({ to }) => to === id)) ?? nodes[0])?.id,
    [nodes, edges],
  )
  const picked = useMemo(
    () => ({ selected, tabStop: selected ?? first, onSelect: (id: string) => onSelect?.(id) }),
    [selected, first, onSelect],
  )
  const stop = useRef({ selected, first })
  stop.current = { selected, first }
  // A graph that has just been placed, or whose frame has changed its size, is shown whole; where it could not be read then, around the node in hand, or from its beginning.
  // It is fitted by our places: the canvas takes in its nodes later than they are known here.
  const ready = useStore((state) => state.panZoom !== null)
  const width = useStore((state) => state.width)
  const height = useStore((state) => state.height)
  const whole = useMemo(
    () =>
      places && places.size > 0 && width > 0 && height > 0
        ? getViewportForBounds(boundsOf(places), width, height, FIT.minZoom, FIT.maxZoom, FIT.padding)
        : undefined,
    [places, width, height],
  )
  useEffect(() => {
    if (!ready || !whole || !places) return
    const inHand = places.get(stop.current.selected ?? '')
    const place = inHand ?? places.get(stop.current.first ?? '')
    if (whole.zoom >= READABLE || !place) return void flow.setViewport(whole)
    const middle = place.y + NODE_HEIGHT / 2
    void (inHand
      ? flow.setCenter(place.x + NODE_WIDTH / 2, middle, { zoom: CLOSE })
      : flow.setViewport({ x: 16 - place.x * CLOSE, y: height / 2 - middle * CLOSE, zoom: CLOSE }))
  }, [flow, ready, whole, places, height])

  const move = (event: KeyboardEvent) => {
    const from = (event.target as HTMLElement).closest<HTMLElement>('[data-step]')?.dataset['step']
    const next = from && places ? neighbour(event.key, from, edges, places) : undefined
    if (!next) return
    event.preventDefault()
    event.stopPropagation()
    onSelect?.(next)
    frame.current?.querySelector<HTMLElement>(`[data-step="${CSS.escape(next)}"]`)?.focus()
  }

  return (
    <div ref={frame} role="group" aria-label={props.label} className="wh-graph absolute inset-0" onKeyDown={move}>
      <PickedContext value={picked}>
        <ReactFlow
          nodes={shown}
          edges={lines}
          nodeTypes={TYPES}
          minZoom={0.2}
          maxZoom={1.5}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          edgesFocusable={false}
          elementsSelectable={false}
          zoomOnScroll={false}
          preventScrolling={false}
          disableKeyboardA11y
        >
          <Background variant={BackgroundVariant.Dots} gap={20} size={1} />
          <Panel
            position="bottom-right"
            className="m-2! flex gap-0.5 rounded-r2 border border-line-1 bg-surface-2 p-0.5"
          >
            <ZoomButton label="Zoom out" icon={Minus} onClick={() => void flow.zoomOut()} />
            <ZoomButton label="Zoom in" icon={Plus} onClick={() => void flow.zoomIn()} />
            <ZoomButton label="Show all" icon={Maximize} onClick={() => whole && void flow.setViewport(whole)} />
          </Panel>
        </ReactFlow>
      </PickedContext>
    </div>
  )
}

/** The frame around all nodes. */
function boundsOf(places: ReadonlyMap<string, Place>): { x: number; y: number; width: number; height: number } {
  const [xs, ys] = [[...places.values()].map(({ x }) => x), [...places.values()].map(({ y }) => y)]
  const [x, y] = [Math.min(...xs), Math.min(...ys)]
  return { x, y, width: Math.max(...xs) - x + NODE_WIDTH, height: Math.max(...ys) - y + NODE_HEIGHT }
}

function ZoomButton(props: { label: string; icon: typeof Plus; onClick(): void }) {
  const Icon = props.icon
  return (
    <button
      type="button"
      aria-label={props.label}
      title={props.label}
      onClick={props.onClick}
      className="grid size-6 place-items-center rounded-r1 text-ink-2 hover:bg-hover hover:text-ink"
    >
      <Icon size={14} aria-hidden />
    </button>
  )
}

function StepCard({ data: { node } }: NodeProps<StepNode>) {
  const { selected, tabStop, onSelect } = useContext(PickedContext)
  return (
    <>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <button
        type="button"
        data-step={node.id}
        data-status={node.status}
        tabIndex={node.id === tabStop ? 0 : -1}
        aria-pressed={node.id === selected}
        onClick={() => onSelect(node.id)}
        className={cx(
          'nopan flex h-[50px] w-[150px] items-start gap-1.5 rounded-r2 border bg-surface-3 px-2 py-1.5 text-left shadow-e1',
          node.faulty
            ? 'border-st-line'
            : node.status === 'off' && !node.icon
              ? 'border-line-2 border-dashed'
              : 'border-line-2',
          ['running', 'failed', 'waiting', 'denied', 'warning'].includes(node.status) && 'border-st-line',
          node.id === selected && 'outline-2 outline-offset-1 outline-accent',
        )}
      >
        {node.icon && !node.faulty ? (
          <node.icon role="img" size={14} aria-label={node.word} className="mt-0.5 flex-none text-ink-3" />
        ) : (
          <StatusShape status={node.faulty ? 'failed' : node.status} size={14} label={node.word} className="mt-0.5" />
        )}
        <span className="min-w-0 flex-1">
          <span className="block truncate text-s2 font-medium text-ink">{node.name}</span>
          {node.marks && node.marks.length > 0 ? (
            <Marks marks={node.marks} />
          ) : (
            <span className="block truncate text-s1 text-ink-2">{node.fact ?? node.word}</span>
          )}
        </span>
      </button>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </>
  )
}

function Marks(props: { marks: readonly Status[] }) {
  return (
    <span aria-hidden className="mt-1 flex gap-[3px]">
      {props.marks.map((status, index) => (
        <i
          key={index}
          data-status={status}
          className={cx(
            'h-[7px] w-[7px] rounded-[2px]',
            status === 'off' || status === 'unknown' ? 'inset-ring inset-ring-line-3' : 'bg-st',
          )}
        />
      ))}
    </span>
  )
}

/** Places by structure alone: a state that changes moves nothing. */
function usePlaces(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Map<string, Place> | undefined {
  const structure = JSON.stringify([nodes.map(({ id }) => id), edges.map(({ from, to }) => [from, to])])
  const [placed, setPlaced] = useState<{ structure: string; places: Map<string, Place> }>()
  useEffect(() => {
    let current = true
    const [ids, pairs] = JSON.parse(structure) as [string[], [string, string][]]
    void placeNodes(
      ids,
      pairs.map(([from, to]) => ({ from, to })),
    ).then((places) => (current ? setPlaced({ structure, places }) : undefined))
    return () => {
      current = false
    }
  }, [structure])
  return placed?.places
}
