import { Fault } from '@wheelhouse/contract'
import type { PackRecord } from '@wheelhouse/contract/jobs/packs'
import { parse } from 'yaml'
import { jsonb } from '../../kernel/db/index.ts'
import { compileOwn } from '../../kernel/schemas/index.ts'
import { isJson, type Json } from './merge-patch.ts'
import { simulationsOf } from './records.ts'

export interface ConfigOverlay {
  name: string
  scope: string
  scopeId: string
  key: 'pools' | 'timeouts'
  path: string
}

/** `pack.yaml`, checked and with its defaults (jobs.md 24.2). */
export interface Manifest {
  id: string
  version: string
  /** As the record shows it. */
  shown: PackRecord['manifest']
  minCoreVersion: string
  schemas: readonly { id: string; path: string }[]
  workflows: readonly { id: string; path: string }[]
  config: readonly ConfigOverlay[]
  policy: readonly { name: string; path: string }[]
  simulations: PackRecord['tests']['policySimulations']
}

const text = { type: 'string' }
const name = { type: 'string', minLength: 1, maxLength: 256 }
const list = (items: object, maxItems = 1000): object => ({ type: ['array', 'null'], maxItems, items })
const texts = list({ type: 'string', maxLength: 256 })
const object = (properties: object, required: readonly string[] = []): object => ({
  type: 'object',
  properties,
  required: [...required],
})
const resource = object({ id: name, path: name }, ['id', 'path'])

/** Members that it does not know are left alone; null counts as absent where a list could stand. */
const SHAPE = compileOwn(
  object(
    {
      metadata: object(
        {
          id: { type: 'string', pattern: '^[a-z0-9-]{1,64}$' },
          version: { type: 'string', minLength: 1, maxLength: 64 },
          title: text,
          description: text,
          image: text,
        },
        ['id', 'version'],
      ),
      compatibility: object({ protocolVersion: { const: 1 }, minCoreVersion: text, maxCoreVersion: text }, [
        'protocolVersion',
      ]),
      topics: list(object({ name, requires: texts, riskTags: texts, capability: text }, ['name'])),
      resources: { ...object({ schemas: list(resource), workflows: list(resource) }), type: ['object', 'null'] },
      overlays: {
        ...object({
          config: list(
            object(
              {
                name: { type: 'string', maxLength: 128 },
                scope: text,
                scope_id: text,
                key: { enum: ['pools', 'timeouts'] },
                strategy: { const: 'json_merge_patch' },
                path: name,
              },
              ['key', 'path'],
            ),
            100,
          ),
          policy: list(
            object(
              {
                name: { type: 'string', pattern: '^[A-Za-z0-9._-]{0,64}$' },
                strategy: { const: 'bundle_fragment' },
                path: name,
              },
              ['path'],
            ),
            100,
          ),
        }),
        type: ['object', 'null'],
      },
      tests: {
        ...object({
          policySimulations: list(object({ name: text, request: { type: 'object' }, expectDecision: text }), 500),
        }),
        type: ['object', 'null'],
      },
    },
    ['metadata', 'compatibility'],
  ),
)

/** Ids under which policy would take a pack's fragments for somebody else's. */
const RESERVED = new Set(['secops', 'wheelhouse', 'base', 'core', 'system'])

export const refuse = (message: string, cause?: unknown): never => {
  throw new Fault('VAL_SCHEMA', {}, { message, cause })
}

/** YAML or JSON as plain data; aliases are few, so that a small file cannot stand for a large one. Throws VAL_SCHEMA. */
export function readYaml(content: Buffer, path: string): unknown {
  try {
    const value = parse(content.toString('utf8'), { maxAliasCount: 50 }) as unknown
    // An alias within its own anchor has no end, and there are characters that no row can hold.
    if (JSON.stringify(value ?? null) !== jsonb(value)) throw new Error('holds a NUL or half a character')
    return value
  } catch (error) {
    return refuse(`${path}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'cannot be read'}`, error)
  }
}

/** The same, which must be a map. */
export function readMap(content: Buffer, path: string): Json {
  const value = readYaml(content, path)
  return isJson(value) ? value : refuse(`${path}: must be a map`)
}

const items = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isJson) : [])
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const textsOf = (value: unknown): string[] | null => (Array.isArray(value) ? value.map(String) : null)
const part = (value: unknown, key: string): Json => {
  const inner = isJson(value) ? value[key] : undefined
  return isJson(inner) ? inner : {}
}

/** Reads and checks a manifest: its shape, and that what it brings stands under its own id. Throws VAL_SCHEMA. */
export function readManifest(content: Buffer): Manifest {
  const value = readMap(content, 'pack.yaml')
  const [problem] = SHAPE.problems(value)
  if (problem)
    refuse(`pack.yaml: ${problem.path.slice(1).replaceAll('/', '.')} ${problem.message}`.replace(':  ', ': '))
  const metadata = part(value, 'metadata')
  const compatibility = part(value, 'compatibility')
  const resources = part(value, 'resources')
  const overlays = part(value, 'overlays')
  const id = textOf(metadata['id'])
  if (RESERVED.has(id)) refuse(`pack.yaml: the id ${id} is reserved; choose another`)
  const manifest: Manifest = {
    id,
    version: textOf(metadata['version']),
    minCoreVersion: textOf(compatibility['minCoreVersion']),
    shown: {
      metadata: {
        id,
        version: textOf(metadata['version']),
        title: textOf(metadata['title']),
        description: textOf(metadata['description']),
        ...(textOf(metadata['image']) === '' ? {} : { image: textOf(metadata['image']) }),
      },
      compatibility: {
        protocolVersion: 1,
        minCoreVersion: textOf(compatibility['minCoreVersion']),
        maxCoreVersion: textOf(compatibility['maxCoreVersion']),
      },
      ...(Array.isArray(value['topics'])
        ? {
            topics: items(value['topics']).map((topic) => ({
              name: textOf(topic['name']),
              requires: textsOf(topic['requires']),
              riskTags: textsOf(topic['riskTags']),
              capability: textOf(topic['capability']),
            })),
          }
        : {}),
    },
    schemas: resourcesOf(resources['schemas']),
    workflows: resourcesOf(resources['workflows']),
    config: items(overlays['config']).map((each) => {
      const scope = textOf(each['scope']) || 'system'
      return {
        // Without a name it would be applied and then forgotten (jobs.md 24.3, fix).
        name: textOf(each['name']) || 'default',
        scope,
        scopeId: textOf(each['scope_id']) || (scope === 'system' || scope === 'org' ? 'default' : ''),
        key: each['key'] === 'timeouts' ? 'timeouts' : 'pools',
        path: textOf(each['path']),
      }
    }),
    policy: items(overlays['policy']).map((each) => ({
      name: textOf(each['name']) || 'default',
      path: textOf(each['path']),
    })),
    simulations: simulationsOf(part(value, 'tests')['policySimulations']),
  }
  checkNames(manifest)
  return manifest
}

const resourcesOf = (value: unknown): { id: string; path: string }[] =>
  items(value).map((each) => ({ id: textOf(each['id']), path: textOf(each['path']) }))

function checkNames({ id, shown, schemas, workflows, config, policy }: Manifest): void {
  requirePrefix('topic', `job.${id}.`, shown.topics?.map((topic) => topic.name) ?? [])
  requirePrefix(
    'schema',
    `${id}/`,
    schemas.map((each) => each.id),
  )
  requirePrefix(
    'workflow',
    `${id}.`,
    workflows.map((each) => each.id),
  )
  for (const { name: overlay, scope, scopeId } of config) {
    if (scope !== 'system' || scopeId !== 'default')
      refuse(`pack.yaml: config overlay ${overlay}: pools and timeouts stand in scope system, scope_id default alone`)
  }
  refuseTwice(
    'schema',
    schemas.map((each) => each.id),
  )
  refuseTwice(
    'workflow',
    workflows.map((each) => each.id),
  )
  refuseTwice(
    'config overlay',
    config.map((each) => `${each.name} of ${each.key}`),
  )
  refuseTwice(
    'policy overlay',
    policy.map((each) => each.name),
  )
}

/** What a pack brings stands under its id, so that packs do not meet (jobs.md 24.2). */
export function requirePrefix(kind: string, prefix: string, names: readonly string[]): void {
  const wrong = names.find((each) => !each.startsWith(prefix) || each.length === prefix.length)
  if (wrong !== undefined) refuse(`${kind} ${JSON.stringify(wrong)} must start with ${prefix}`)
}

function refuseTwice(kind: string, names: readonly string[]): void {
  const twice = names.find((each, index) => names.indexOf(each) !== index)
  if (twice !== undefined) refuse(`pack.yaml: ${kind} ${twice} is listed twice`)
}

/** The first three numbers of a version; a leading `v` and a pre-release do not count. Undefined where it is no such version. */
function numbersOf(version: string): readonly number[] | undefined {
  const found = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+].*)?$/.exec(version.trim())
  return found ? [Number(found[1]), Number(found[2]), Number(found[3] ?? 0)] : undefined
}

/** jobs.md 24.2: skipped where either version is none. Throws VAL_SCHEMA. */
export function requireCore({ id, minCoreVersion }: Manifest, serverVersion: string): void {
  const [wanted, own] = [numbersOf(minCoreVersion), numbersOf(serverVersion)]
  if (!wanted || !own) return
  const differing = wanted.findIndex((each, index) => each !== own[index])
  if (differing >= 0 && (wanted[differing] ?? 0) > (own[differing] ?? 0))
    refuse(
      `pack ${id} needs version ${minCoreVersion} or later, this is ${serverVersion}; force installs it all the same`,
    )
}
