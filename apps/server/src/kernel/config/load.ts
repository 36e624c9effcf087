import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse } from 'yaml'
import { nearest } from './nearest.ts'
import type { Config } from './schema.ts'
import {
  CLIENT_VARIABLES,
  CONFIG_FILE_FLAG,
  CONFIG_FILE_VARIABLE,
  CRASH_VARIABLE,
  GROUPS,
  SETTINGS,
  type Setting,
} from './settings.ts'
import { isAddress, parseValue } from './values.ts'

export interface Surroundings {
  /** Arguments after the program's name. */
  argv: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  cwd: string
}

export type Source = 'flag' | 'environment' | 'file' | 'default'

export interface Explained {
  config: Config
  /** Where each setting that has a value got it; by dotted key. */
  sources: ReadonlyMap<string, { source: Source; name: string }>
}

/** The configuration cannot be used; `problems` has one line for each reason. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The configuration cannot be used:\n${problems.map((problem) => `- ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/**
 * The one configuration: flags win over the environment, that over `wheelhouse.yaml`, that over defaults (decisions D10). Lists
 * replace each other. Unknown flags, `WHEELHOUSE_*` variables and file keys are refused with the nearest known name; all
 * problems come in one ConfigError. An empty variable counts as not set.
 */
export function loadConfig(surroundings: Surroundings): Config {
  return explainConfig(surroundings).config
}

/** `loadConfig`, and where each value came from. */
export function explainConfig({ argv, env, cwd }: Surroundings): Explained {
  const problems: string[] = []
  const flags = readFlags(argv, problems)
  refuseUnknownVariables(env, problems)
  const file = readFile(flags.get(CONFIG_FILE_FLAG) ?? env[CONFIG_FILE_VARIABLE], cwd, problems)

  const config: Record<string, unknown> = {}
  const sources = new Map<string, { source: Source; name: string }>()
  for (const setting of SETTINGS) {
    const found = find(setting, flags, env, file)
    const parent = groupOf(config, setting.path)
    if (!found) continue
    const parsed = parseValue(setting, found.given, cwd)
    if ('problem' in parsed) problems.push(`${found.name} ${parsed.problem}`)
    else {
      parent[setting.path.at(-1) ?? ''] = parsed.value
      sources.set(setting.key, { source: found.source, name: found.name })
    }
  }
  if (problems.length === 0) problems.push(...contradictions(config as Config))
  if (problems.length > 0) throw new ConfigError(problems)
  return { config: deepFreeze(config) as Config, sources }
}

type Found = { source: Source; name: string; given: unknown } | undefined

function find(
  { key, path, flag, variables, schema }: Setting,
  flags: ReadonlyMap<string, string>,
  env: Surroundings['env'],
  file: ReadonlyMap<string, unknown>,
): Found {
  if (flags.has(flag)) return { source: 'flag', name: flag, given: flags.get(flag) }
  const variable = variables.find((name) => env[name])
  if (variable) return { source: 'environment', name: variable, given: env[variable] }
  if (file.has(key)) return { source: 'file', name: `\`${path.join('.')}\` in the file`, given: file.get(key) }
  return 'default' in schema ? { source: 'default', name: key, given: schema.default } : undefined
}

function readFlags(argv: readonly string[], problems: string[]): Map<string, string> {
  const known = new Map(SETTINGS.map((setting) => [setting.flag, setting.schema]))
  const flags = new Map<string, string>()
  const rest = [...argv]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const [name = '', ...values] = word.split('=')
    const schema = known.get(name)
    if (!schema && name !== CONFIG_FILE_FLAG) {
      const hint = nearest(name, [...known.keys(), CONFIG_FILE_FLAG])
      problems.push(`unknown argument ${name}; did you mean ${hint}?`)
    } else if (values.length > 0) flags.set(name, values.join('='))
    else if (schema && 'type' in schema && schema.type === 'boolean' && !/^(true|false)$/.test(rest[0] ?? ''))
      flags.set(name, 'true')
    else {
      const value = rest.shift()
      if (value === undefined) problems.push(`${name} needs a value`)
      else flags.set(name, value)
    }
  }
  return flags
}

function refuseUnknownVariables(env: Surroundings['env'], problems: string[]): void {
  const ours = SETTINGS.flatMap(({ variables }) => variables).filter((name) => name.startsWith('WHEELHOUSE_'))
  const known = new Set([...ours, ...CLIENT_VARIABLES, CONFIG_FILE_VARIABLE, CRASH_VARIABLE])
  const candidates = [...known, ...SETTINGS.map(({ variables: [name] }) => name)]
  for (const name of Object.keys(env))
    if (name.startsWith('WHEELHOUSE_') && !known.has(name))
      problems.push(`unknown variable ${name}; did you mean ${nearest(name, candidates)}?`)
}

function readFile(named: string | undefined, cwd: string, problems: string[]): Map<string, unknown> {
  const file = resolve(cwd, named ?? 'wheelhouse.yaml')
  const values = new Map<string, unknown>()
  if (!existsSync(file)) {
    if (named) problems.push(`the configuration file ${file} does not exist`)
    return values
  }
  let document: unknown
  try {
    document = parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    problems.push(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`)
    return values
  }
  if (document === null || document === undefined) return values
  if (isMap(document)) flatten(document, '', values, problems, file)
  else problems.push(`${file} must hold a map of settings`)
  return values
}

function flatten(
  map: Readonly<Record<string, unknown>>,
  above: string,
  values: Map<string, unknown>,
  problems: string[],
  file: string,
): void {
  for (const [name, value] of Object.entries(map)) {
    const key = above + name
    if (SETTINGS.some((setting) => setting.key === key)) {
      if (value !== null) values.set(key, value)
    } else if (GROUPS.has(key)) {
      if (isMap(value)) flatten(value, `${key}.`, values, problems, file)
      else if (value !== null) problems.push(`\`${key}\` in ${file} must be a map of settings`)
    } else {
      const hint = nearest(key, [...SETTINGS.map((setting) => setting.key), ...GROUPS])
      problems.push(`unknown key \`${key}\` in ${file}; did you mean \`${hint}\`?`)
    }
  }
}

/** What each value alone cannot show. */
function contradictions(config: Config): string[] {
  const problems: string[] = []
  for (const name of ['tls', 'grpcTls'] as const) {
    const { cert, key } = config[name]
    if (Boolean(cert) !== Boolean(key)) problems.push(`${name}.cert and ${name}.key go together`)
    for (const path of [cert, key]) if (path && !existsSync(path)) problems.push(`${name}: ${path} does not exist`)
  }
  const { issuer, clientId, uiClientId } = config.oidc
  if (issuer && !clientId && !uiClientId) problems.push('oidc.issuer needs oidc.clientId or oidc.uiClientId')
  problems.push(...samlContradictions(config.saml))
  const ports = ['port', 'grpcPort', 'natsPort', 'natsWsPort', 'fleetPort', 'jobsPort', 'extensionsPort'] as const
  const unused = config.natsUrl ? ['natsPort', 'natsWsPort'] : []
  const taken = new Map<number, string>()
  for (const name of ports.filter((port) => !unused.includes(port))) {
    const port = config[name]
    if (!port) continue
    if (taken.has(port)) problems.push(`${taken.get(port)} and ${name} are both ${port}`)
    taken.set(port, name)
  }
  return problems
}

/** Hosts that are this machine, whose answers nobody changes on the way. */
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

const isSafe = (address: string): boolean =>
  URL.canParse(address) && (new URL(address).protocol === 'https:' || LOOPBACK.has(new URL(address).hostname))

function samlContradictions({ metadata, entryPoint, certificate, issuer }: Config['saml']): string[] {
  const problems: string[] = []
  if (metadata && (entryPoint || certificate))
    problems.push('saml.metadata says what saml.entryPoint and saml.certificate would: give one or the other')
  else if ((entryPoint || certificate) && !(entryPoint && certificate && issuer))
    problems.push('saml.entryPoint, saml.certificate and saml.issuer go together')
  const files = [metadata && isAddress(metadata) ? undefined : metadata, certificate]
  for (const path of files) if (path && !existsSync(path)) problems.push(`saml: ${path} does not exist`)
  // Over plain http anybody on its way could put a key of their own into it, and sign in as whom they like.
  if (metadata && isAddress(metadata) && !isSafe(metadata)) problems.push('saml.metadata must be fetched over https')
  return problems
}

function groupOf(config: Record<string, unknown>, path: readonly string[]): Record<string, unknown> {
  let group = config
  for (const name of path.slice(0, -1)) group = (group[name] ??= {}) as Record<string, unknown>
  return group
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(deepFreeze)
  return Object.freeze(value)
}
