import elkModule, { type ELK, type ElkNode } from 'elkjs/lib/elk-api.js'
import workerUrl from 'elkjs/lib/elk-worker.min.js?url'
import { NODE_HEIGHT, NODE_WIDTH } from './graph-props.ts'

export interface Place {
  x: number
  y: number
}

// The package is CommonJS: bundlers differ in whether they unwrap its default.
const Elk = 'default' in elkModule ? elkModule.default : elkModule
let elk: ELK | undefined

// The layout may take a second for some hundred nodes: it is done beside the page, by one worker for all graphs.
function layouter(): ELK {
  elk ??= new Elk({ workerFactory: () => new Worker(workerUrl) })
  return elk
}

/** Places of the nodes from left to right. The same structure gives the same places. */
export async function placeNodes(
  ids: readonly string[],
  edges: readonly { from: string; to: string }[],
): Promise<Map<string, Place>> {
  const known = new Set(ids)
  const graph: ElkNode = {
    id: 'graph',
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': 'RIGHT',
      'elk.layered.spacing.nodeNodeBetweenLayers': '56',
      'elk.spacing.nodeNode': '22',
      'elk.spacing.componentComponent': '40',
      'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
      'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
    },
    children: ids.map((id) => ({ id, width: NODE_WIDTH, height: NODE_HEIGHT })),
    edges: edges
      .filter(({ from, to }) => known.has(from) && known.has(to) && from !== to)
      .map(({ from, to }) => ({ id: `${from}>${to}`, sources: [from], targets: [to] })),
  }
  const { children = [] } = await layouter().layout(graph)
  return new Map(children.map(({ id, x = 0, y = 0 }) => [id, { x, y }]))
}
