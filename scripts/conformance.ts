import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { declared, type Surface } from '../packages/contract/src/index.ts'
import { CordumApi } from '../packages/contract/src/proto/api_pb.ts'
import { ContextEngine } from '../packages/contract/src/proto/context_pb.ts'
import { SafetyKernel } from '../packages/contract/src/proto/safety_pb.ts'

/** One row of a document's inventory (`conformance/<surface>.json`). */
interface Documented {
  method: string
  path: string
  kind: string
  group: string
  in_seed: boolean
  auth?: string
  permission?: string
}

const DOCUMENTED = ['platform', 'fleet', 'release', 'jobs'] as const satisfies readonly Surface[]

const inventory = (surface: Surface): Documented[] => {
  const file = fileURLToPath(new URL(`../conformance/${surface}.json`, import.meta.url))
  return (JSON.parse(readFileSync(file, 'utf8')) as { endpoints: Documented[] }).endpoints
}

/** Parameter names differ between documents and declarations; their places do not. */
const shape = (method: string, path: string): string =>
  `${method} ${path.replace(/\{\w+\}/g, '{}').replace(/\?.*$/, '')}`

export interface Coverage {
  surface: Surface
  /** Endpoints of the document itself. */
  served: Documented[]
  missing: Documented[]
  /** Calls that real clients make beyond the document. */
  extraServed: number
  extra: number
  beyondMissing: Documented[]
}

/** The services of the gRPC port; the server's own tests hold it to serving every one of their methods. */
const RPCS = new Set(
  [CordumApi, SafetyKernel, ContextEngine].flatMap(({ typeName, methods }) =>
    methods.map(({ name }) => `${typeName}/${name}`),
  ),
)

/** How much of each document is declared, and so routed, validated, authorized and tested. */
export function coverage(): Coverage[] {
  const anywhere = new Set(declared.map(({ endpoint }) => shape(endpoint.method, endpoint.path)))
  return DOCUMENTED.map((surface) => {
    const ours = new Set(
      declared
        .filter((each) => each.surface === surface)
        .map(({ endpoint }) => shape(endpoint.kind === 'ws' ? 'WS' : endpoint.method, endpoint.path)),
    )
    const has = ({ method, path, kind }: Documented): boolean =>
      (kind === 'grpc' && RPCS.has(path)) ||
      ours.has(shape(kind === 'ws' ? 'WS' : method, path)) ||
      (kind === 'ws' && ours.has(shape('GET', path)))
    // One `/health` and one `/metrics` serve all surfaces.
    const hasShared = (row: Documented): boolean => has(row) || anywhere.has(shape(row.method, row.path))
    const rows = inventory(surface).filter(({ kind }) => ['http', 'sse', 'ws', 'grpc'].includes(kind))
    const seed = rows.filter((row) => row.in_seed)
    const extra = rows.filter((row) => !row.in_seed)
    return {
      surface,
      served: seed.filter(has),
      missing: seed.filter((row) => !has(row)),
      extra: extra.length,
      extraServed: extra.filter(hasShared).length,
      beyondMissing: extra.filter((row) => !hasShared(row)),
    }
  })
}

function print(verbose: boolean): void {
  const rows = coverage()
  for (const { surface, served, missing, extra, extraServed, beyondMissing } of rows) {
    const all = served.length + missing.length
    console.log(
      `${surface.padEnd(9)} ${served.length}/${all} documented endpoints served, ${extraServed}/${extra} beyond the document`,
    )
    const groups = Map.groupBy(missing, ({ group }) => group)
    for (const [group, absent] of groups) {
      console.log(`          missing in ${group}: ${absent.length}`)
      if (verbose) for (const { method, path } of absent) console.log(`            ${method} ${path}`)
    }
    if (verbose)
      for (const { method, path } of beyondMissing) console.log(`          beyond the document: ${method} ${path}`)
  }
  const total = rows.reduce((sum, { served }) => sum + served.length, 0)
  const all = rows.reduce((sum, { served, missing }) => sum + served.length + missing.length, 0)
  console.log(`all       ${total}/${all}`)
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { verbose: { type: 'boolean', short: 'v' } } })
  print(values.verbose === true)
}
