import { existsSync, readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { LOG_LEVELS } from './log.ts'
import type { LogLevel } from './log.ts'

export interface AgentConfig {
  url: URL
  token: string
  instanceId: string
  name: string
  provider: string
  region: string
  labels: Record<string, string>
  heartbeatMs: number
  metricsMs: number
  shell: string
  dataDir: string
  logPaths: string[]
  logLevel: LogLevel
  maxTasks: number
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

interface Setting {
  flag: string
  help: string
  /** The name that Draupnir reads, taken as a synonym. */
  synonym?: string
}

/** Every setting by the end of its variable `WHEELHOUSE_AGENT_*`. */
export const SETTINGS = {
  URL: { flag: 'url', synonym: 'SINDRI_CONSOLE_URL', help: 'address of the server, required' },
  TOKEN: {
    flag: '',
    synonym: 'SINDRI_CONSOLE_API_KEY',
    help: 'token of this agent (only as a variable: flags show in process lists)',
  },
  TOKEN_FILE: { flag: 'token-file', help: 'file that holds the token' },
  ID: { flag: 'id', synonym: 'SINDRI_INSTANCE_ID', help: 'id of the instance (host name)' },
  NAME: { flag: 'name', help: 'name to show (the id)' },
  PROVIDER: { flag: 'provider', synonym: 'SINDRI_PROVIDER', help: 'where the host runs (ssh)' },
  REGION: { flag: 'region', synonym: 'SINDRI_REGION', help: 'region of the host' },
  LABELS: { flag: 'labels', synonym: 'SINDRI_AGENT_TAGS', help: 'key=value,key=value' },
  HEARTBEAT: { flag: 'heartbeat', synonym: 'SINDRI_AGENT_HEARTBEAT', help: 'seconds between heartbeats (30)' },
  METRICS: { flag: 'metrics', synonym: 'SINDRI_AGENT_METRICS', help: 'seconds between metrics (60)' },
  SHELL: { flag: 'shell', synonym: 'SINDRI_AGENT_SHELL', help: 'shell of terminals and shell commands (/bin/bash)' },
  DATA_DIR: { flag: 'data-dir', help: 'folder for undelivered results' },
  LOG_PATHS: { flag: 'log-paths', help: 'log files to offer, separated by commas' },
  LOG_LEVEL: { flag: 'log-level', synonym: 'SINDRI_LOG_LEVEL', help: 'debug, info, warn or error (info)' },
  MAX_TASKS: { flag: 'max-tasks', help: 'commands that may run at a time (16)' },
} as const satisfies Record<string, Setting>

type Key = keyof typeof SETTINGS
const PREFIX = 'WHEELHOUSE_AGENT_'
const DEFAULT_LOG_PATHS = ['/var/log/syslog', '/var/log/messages', '/var/log/auth.log', '/var/log/dpkg.log']

/** The configuration: flags, then `WHEELHOUSE_AGENT_*`, then the synonyms, then defaults. Throws `ConfigError`, which never holds the token. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv): AgentConfig {
  for (const variable of Object.keys(env)) {
    if (variable.startsWith(PREFIX) && !Object.hasOwn(SETTINGS, variable.slice(PREFIX.length))) {
      throw new ConfigError(
        `unknown variable ${variable}; known are ${Object.keys(SETTINGS)
          .map((key) => PREFIX + key)
          .join(', ')}`,
      )
    }
  }
  const flags = readFlags(args)
  const get = (key: Key): string | undefined => {
    const { flag, synonym }: Setting = SETTINGS[key]
    return flags[flag] || env[PREFIX + key] || (synonym && env[synonym]) || undefined
  }
  const instanceId = get('ID') ?? hostname()
  if (instanceId.length > 128) throw new ConfigError('the id is longer than 128 characters')
  return {
    url: readUrl(get('URL')),
    token: readToken(get('TOKEN'), get('TOKEN_FILE')),
    instanceId,
    name: (get('NAME') ?? instanceId).slice(0, 128),
    provider: get('PROVIDER') ?? 'ssh',
    region: get('REGION') ?? '',
    labels: readLabels(get('LABELS') ?? ''),
    heartbeatMs: readInterval('HEARTBEAT', get('HEARTBEAT') ?? '30'),
    metricsMs: readInterval('METRICS', get('METRICS') ?? '60'),
    shell: get('SHELL') ?? ['/bin/bash', '/bin/sh'].find((shell) => existsSync(shell)) ?? 'sh',
    dataDir: resolve(get('DATA_DIR') ?? defaultDataDir()),
    logPaths: get('LOG_PATHS')?.split(',').filter(Boolean) ?? DEFAULT_LOG_PATHS,
    logLevel: readLevel(get('LOG_LEVEL') ?? 'info'),
    maxTasks: readCount(get('MAX_TASKS') ?? '16'),
  }
}

function readFlags(args: readonly string[]): Record<string, string | undefined> {
  const names = Object.values(SETTINGS).map((setting) => setting.flag)
  const options = Object.fromEntries(names.filter(Boolean).map((flag) => [flag, { type: 'string' as const }]))
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values as Record<
      string,
      string
    >
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error))
  }
}

function readUrl(value: string | undefined): URL {
  if (!value) throw new ConfigError('no server: set WHEELHOUSE_AGENT_URL or --url')
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (!url || !['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol))
    throw new ConfigError(`not an http address: ${value}`)
  if (url.username || url.password) throw new ConfigError('the address must not hold a user or password')
  return url
}

function readToken(value: string | undefined, file: string | undefined): string {
  if (value) return value.trim()
  if (!file) throw new ConfigError('no token: set WHEELHOUSE_AGENT_TOKEN or WHEELHOUSE_AGENT_TOKEN_FILE')
  try {
    const token = readFileSync(file, 'utf8').trim()
    if (token) return token
  } catch (error) {
    throw new ConfigError(`cannot read the token file: ${error instanceof Error ? error.message : String(error)}`)
  }
  throw new ConfigError(`the token file ${file} is empty`)
}

function readLabels(value: string): Record<string, string> {
  const pairs = value.split(',').filter((pair) => pair.trim() !== '')
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', ...rest] = pair.split('=')
      if (!key.trim() || rest.length === 0) throw new ConfigError(`not a label: ${pair} (write key=value)`)
      return [key.trim(), rest.join('=').trim()]
    }),
  )
}

// Seconds, which may be fractional (fleet.md 3.16), or a number with a unit.
function readInterval(key: Key, value: string): number {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(value.trim()) ?? []
  const ms = Number(digits) * { ms: 1, s: 1000, m: 60_000 }[unit as 'ms' | 's' | 'm']
  if (!(ms >= 100 && ms <= 3_600_000))
    throw new ConfigError(`${PREFIX}${key} must lie between 0.1 and 3600 seconds, not ${value}`)
  return Math.round(ms)
}

function readCount(value: string): number {
  const count = Number(value)
  if (!Number.isInteger(count) || count < 1 || count > 1000)
    throw new ConfigError(`${PREFIX}MAX_TASKS must lie between 1 and 1000`)
  return count
}

function readLevel(value: string): LogLevel {
  const level = LOG_LEVELS.find((each) => each === value.toLowerCase())
  if (!level) throw new ConfigError(`${PREFIX}LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}`)
  return level
}

function defaultDataDir(): string {
  return process.getuid?.() === 0 ? '/var/lib/wheelhouse-agent' : join(homedir(), '.wheelhouse', 'agent')
}

/** The environment that commands and terminals begin with: the agent's own, without what configures and authorises the agent. */
export function childEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const kept = Object.entries(env).filter(
    ([key, value]) =>
      value !== undefined && !key.startsWith('WHEELHOUSE_') && !key.startsWith('SINDRI_') && key !== 'NODE_OPTIONS',
  )
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...(Object.fromEntries(kept) as Record<string, string>),
  }
}
