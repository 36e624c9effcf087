import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { childEnvironment, readConfig } from './config.ts'
import { createLog } from './log.ts'

const folder = mkdtempSync(join(tmpdir(), 'wheelhouse-agent-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

const least = { WHEELHOUSE_AGENT_URL: 'https://server:8080', WHEELHOUSE_AGENT_TOKEN: 'secret' }

test('flags win over variables, and those over the names of the base protocol', () => {
  const env = { ...least, WHEELHOUSE_AGENT_ID: 'variable', SINDRI_INSTANCE_ID: 'synonym', SINDRI_REGION: 'fra' }
  expect(readConfig(['--id', 'flag'], env)).toMatchObject({ instanceId: 'flag', name: 'flag', region: 'fra' })
  expect(readConfig([], env)).toMatchObject({ instanceId: 'variable' })
})

test('everything of the reference agent alone is enough', () => {
  const env = {
    SINDRI_CONSOLE_URL: 'http://console:3001',
    SINDRI_CONSOLE_API_KEY: 'key',
    SINDRI_INSTANCE_ID: 'dev-1',
    SINDRI_PROVIDER: 'fly',
    SINDRI_AGENT_HEARTBEAT: '1.5',
    SINDRI_AGENT_METRICS: '500ms',
    SINDRI_AGENT_SHELL: '/bin/sh',
    SINDRI_AGENT_TAGS: 'a=1, b=x=y',
    SINDRI_LOG_LEVEL: 'WARN',
  }
  expect(readConfig([], env)).toMatchObject({
    token: 'key',
    provider: 'fly',
    heartbeatMs: 1500,
    metricsMs: 500,
    shell: '/bin/sh',
    labels: { a: '1', b: 'x=y' },
    logLevel: 'warn',
  })
})

test('the token may stand in a file', () => {
  const file = join(folder, 'token')
  writeFileSync(file, 'from-file\n')
  expect(readConfig(['--token-file', file, '--url', 'http://s'], {}).token).toBe('from-file')
})

test.each([
  ['no server', {}, 'WHEELHOUSE_AGENT_URL'],
  ['no token', { WHEELHOUSE_AGENT_URL: 'http://s' }, 'WHEELHOUSE_AGENT_TOKEN'],
  ['another scheme', { ...least, WHEELHOUSE_AGENT_URL: 'ftp://s' }, 'not an http address'],
  [
    'a variable that does not exist',
    { ...least, WHEELHOUSE_AGENT_METRIC: '5' },
    'unknown variable WHEELHOUSE_AGENT_METRIC',
  ],
  ['an interval of nothing', { ...least, WHEELHOUSE_AGENT_HEARTBEAT: '0' }, 'WHEELHOUSE_AGENT_HEARTBEAT'],
  ['a label without a value', { ...least, WHEELHOUSE_AGENT_LABELS: 'lonely' }, 'key=value'],
  ['a level that does not exist', { ...least, WHEELHOUSE_AGENT_LOG_LEVEL: 'loud' }, 'LOG_LEVEL'],
])('refuses %s', (_, env, message) => expect(() => readConfig([], env)).toThrow(message))

test('refuses a flag that does not exist', () => expect(() => readConfig(['--tokn', 'x'], least)).toThrow('--tokn'))

test('commands do not inherit what authorises the agent', () => {
  const env = childEnvironment({ ...least, SINDRI_CONSOLE_API_KEY: 'k', LANG: 'C', NODE_OPTIONS: '--inspect' })
  expect(env).toEqual({ PATH: expect.stringContaining('/bin'), LANG: 'C' })
})

test('a secret in a log line is blotted out', () => {
  const lines: string[] = []
  const log = createLog('info', ['s3cret'], (line) => lines.push(line))
  log.warn('failed with s3cret', { url: 'http://x/?t=s3cret' })
  log.debug('below the level')
  expect(lines).toHaveLength(1)
  expect(lines[0]).not.toContain('s3cret')
})
