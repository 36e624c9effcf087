import type { TObject, TSchema } from 'typebox'
import { ConfigSchema, type SettingNotes } from './schema.ts'

/** One leaf of the configuration with all the names by which it can be given. */
export interface Setting {
  /** Dotted key in the file: `rateLimits.scale`. */
  key: string
  path: readonly string[]
  flag: string
  /** Environment variables, the first one ours. */
  variables: readonly [string, ...string[]]
  schema: TSchema & SettingNotes & { default?: unknown }
}

/** All settings in the order of the schema. */
export const SETTINGS: readonly Setting[] = leaves(ConfigSchema, [])

/** Names that only group settings: `rateLimits`. */
export const GROUPS: ReadonlySet<string> = new Set(
  SETTINGS.flatMap(({ path }) => path.slice(0, -1).map((_, depth) => path.slice(0, depth + 1).join('.'))),
)

/** What the agent of this host may be told through our environment; address, token and data folder come from us. */
export const LOCAL_AGENT_VARIABLES: readonly string[] = [
  'ID',
  'NAME',
  'PROVIDER',
  'REGION',
  'LABELS',
  'HEARTBEAT',
  'METRICS',
  'SHELL',
  'LOG_PATHS',
  'LOG_LEVEL',
  'MAX_TASKS',
].map((name) => `WHEELHOUSE_AGENT_${name}`)

/** Variables with our prefix that our other programs read; the server lets them be. */
export const CLIENT_VARIABLES: readonly string[] = [
  'WHEELHOUSE_URL',
  'WHEELHOUSE_TOKEN',
  'WHEELHOUSE_API_KEY',
  'WHEELHOUSE_CONTEXT',
  'WHEELHOUSE_CLI_CONFIG',
  'WHEELHOUSE_AGENT_URL',
  'WHEELHOUSE_AGENT_TOKEN',
  'WHEELHOUSE_AGENT_TOKEN_FILE',
  'WHEELHOUSE_AGENT_DATA_DIR',
  ...LOCAL_AGENT_VARIABLES,
]

/** Read by the reliability tests' hooks alone (kernel/crash, docs/reliability.md). */
export const CRASH_VARIABLE = 'WHEELHOUSE_CRASH_POINT'

/** Where the file itself is named. */
export const CONFIG_FILE_VARIABLE = 'WHEELHOUSE_CONFIG'
export const CONFIG_FILE_FLAG = '--config'

function leaves(schema: TObject, above: readonly string[]): Setting[] {
  return Object.entries(schema.properties).flatMap(([name, child]): Setting[] => {
    const path = [...above, name]
    if (isGroup(child)) return leaves(child, path)
    const notes = child as Setting['schema']
    const words = path.map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter}`)).join('_')
    return [
      {
        key: path.join('.'),
        path,
        flag: `--${words.replaceAll('_', '-').toLowerCase()}`,
        variables: [notes.env ?? `WHEELHOUSE_${words.toUpperCase()}`, ...(notes.synonyms ?? [])],
        schema: notes,
      },
    ]
  })
}

function isGroup(schema: TSchema): schema is TObject {
  return 'properties' in schema
}
