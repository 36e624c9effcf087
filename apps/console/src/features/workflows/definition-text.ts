import { isMap, isScalar, stringify } from 'yaml'
import type { CodeProblem } from '../../ui/code-editor.tsx'
import { readYaml } from '../../ui/yaml-text.ts'

export interface ReadDefinition {
  /** Absent while the text is not even YAML. */
  definition?: Record<string, unknown>
  problems: CodeProblem[]
  /** Where a path such as `steps.build.condition` stands. */
  lineOf(path: string): { line: number; column: number }
}

/** Reads a definition as it was typed; JSON is YAML too. */
export function readDefinition(text: string): ReadDefinition {
  const { document, problems, place } = readYaml(text)
  const lineOf = (path: string) => {
    // The nearest part of the path that is written down: what is missing has no place of its own.
    const parts = path.split('.').filter((part) => part !== '')
    let node: unknown = document.contents
    let offset = 0
    for (const part of parts) {
      if (!isMap(node)) break
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === part)
      if (!pair) break
      if (isScalar(pair.key) && pair.key.range) offset = pair.key.range[0]
      node = pair.value
    }
    return place(offset)
  }
  const value: unknown = problems.length === 0 ? document.toJS() : undefined
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (problems.length === 0 && !isObject)
    problems.push({ line: 1, message: 'A definition is a map: id, name, steps …', severity: 'error' })
  return { ...(isObject ? { definition: value as Record<string, unknown> } : {}), problems, lineOf }
}

/** What the server fills in itself is not shown for editing. */
const SERVERS = new Set(['created_at', 'updated_at', 'created_by', 'org_id', 'revision'])

/** A definition as it is edited. */
export function writeDefinition(workflow: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(workflow).filter(
    ([name, value]) => !SERVERS.has(name) && value !== '' && value !== null && value !== 0,
  )
  const written = Object.fromEntries(shown)
  const { steps } = written
  if (isSteps(steps)) written['steps'] = inOrder(steps)
  return stringify(written, { lineWidth: 110 })
}

type Steps = Readonly<Record<string, { depends_on?: unknown }>>
const isSteps = (value: unknown): value is Steps =>
  typeof value === 'object' && value !== null && Object.values(value).every((step) => typeof step === 'object' && step)

/** Steps as one reads them: each after those that it depends on. The database keeps them in no order. */
function inOrder(steps: Steps): Steps {
  const depths = new Map<string, number>()
  const depthOf = (id: string): number => {
    const known = depths.get(id)
    if (known !== undefined) return known
    // A circle, which the server refuses, ends here all the same.
    depths.set(id, 0)
    const before = steps[id]?.depends_on
    const depth = Array.isArray(before) ? Math.max(0, ...before.map((each) => depthOf(String(each)) + 1)) : 0
    depths.set(id, depth)
    return depth
  }
  return Object.fromEntries(Object.entries(steps).toSorted(([a], [b]) => depthOf(a) - depthOf(b)))
}

export const FIRST_DEFINITION = `id: hello
name: Hello
description: Two people's first workflow. It asks, then it tells.
input_schema:
  type: object
  properties:
    name: { type: string, default: world }
steps:
  ask:
    type: approval
    name: May I say hello?
    timeout_sec: 86400
  greeting:
    type: transform
    depends_on: [ask]
    input:
      text: Hello, \${input.name}!
  tell:
    type: notify
    depends_on: [greeting]
    input:
      level: INFO
      message: \${steps.greeting.output.text}
`
