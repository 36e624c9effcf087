import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { configReference, ConfigError, explainConfig, loadConfig, printConfig } from './index.ts'
import { edits, nearest } from './nearest.ts'
import { SETTINGS } from './settings.ts'

let cwd: string
beforeEach(() => (cwd = mkdtempSync(join(tmpdir(), 'wh-config-'))))
afterEach(() => rmSync(cwd, { recursive: true }))

const load = (env: Record<string, string> = {}, argv: string[] = []) => loadConfig({ argv, env, cwd })
const file = (text: string) => writeFileSync(join(cwd, 'wheelhouse.yaml'), text)
function problems(env: Record<string, string> = {}, argv: string[] = []): readonly string[] {
  try {
    load(env, argv)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('defaults', () => {
  test('are complete and pass their own checks', () => {
    const config = load()
    expect(config).toMatchObject({ host: '127.0.0.1', port: 8080, grpcPort: 50051, natsPort: 4222, natsWsPort: 9222 })
    expect(config.dataDir).toBe(join(cwd, 'data'))
    expect(config.roles).toEqual(['api', 'engine', 'ingest'])
    expect(config.sessions).toMatchObject({ ttlMs: 86_400_000, idleMs: 28_800_000, fleetTtlMs: 604_800_000 })
    expect(config.fleetPort).toBeUndefined()
    expect(config.jobsPort).toBeUndefined()
  })

  test('cannot be changed by whoever holds the configuration', () => {
    expect(() => Object.assign(load().rateLimits, { scale: 5 })).toThrow(TypeError)
  })
})

describe('precedence', () => {
  test('is flag, environment, file, default', () => {
    file('port: 1001\ngrpcPort: 1002\nnatsPort: 1003\n')
    const env = { WHEELHOUSE_PORT: '2001', WHEELHOUSE_GRPC_PORT: '2002' }
    expect(load(env, ['--port', '3001'])).toMatchObject({
      port: 3001,
      grpcPort: 2002,
      natsPort: 1003,
      natsWsPort: 9222,
    })
  })

  test('of two names of one setting puts ours first, and a name of a reference system counts', () => {
    expect(load({ OIDC_ISSUER: 'id.example.com', OIDC_CLIENTID: 'cli' }).oidc).toMatchObject({
      issuer: 'https://id.example.com',
      clientId: 'cli',
    })
    const both = {
      CORDUM_ALLOWED_ORIGINS: 'https://a.example',
      WHEELHOUSE_CORS_ORIGINS: 'https://b.example, https://c.example',
    }
    expect(load(both).cors.origins).toEqual(['https://b.example', 'https://c.example'])
    expect(load({ API_RATE_LIMIT_RPS: '70' }).rateLimits.jobsPerSecond).toBe(70)
  })

  test('lets an empty variable count as not set', () => {
    file('port: 1001\n')
    expect(load({ WHEELHOUSE_PORT: '', DATABASE_URL: '' })).toMatchObject({ port: 1001 })
  })

  test('replaces lists and merges groups', () => {
    file('egress: {allow: [10.0.0.0/8, 192.168.0.0/16]}\noidc: {issuer: "https://id.example/", clientId: file}\n')
    const config = load({ WHEELHOUSE_EGRESS_ALLOW: '127.0.0.0/8', WHEELHOUSE_OIDC_CLIENT_ID: 'env' })
    expect(config.egress.allow).toEqual(['127.0.0.0/8'])
    expect(config.oidc).toMatchObject({ issuer: 'https://id.example', clientId: 'env' })
  })

  test('can name another file by flag or variable, which must then exist', () => {
    writeFileSync(join(cwd, 'other.yaml'), 'port: 7\n')
    expect(load({}, ['--config', 'other.yaml']).port).toBe(7)
    expect(load({ WHEELHOUSE_CONFIG: 'other.yaml' }).port).toBe(7)
    expect(problems({ WHEELHOUSE_CONFIG: 'none.yaml' })).toEqual([expect.stringContaining('none.yaml does not exist')])
  })
})

describe('unknown names are refused with the nearest known one', () => {
  test.each([
    ['WHEELHOUSE_PROT', 'WHEELHOUSE_PORT'],
    ['WHEELHOUSE_DATA_DIRECTORY', 'WHEELHOUSE_DATA_DIR'],
    ['WHEELHOUSE_OIDC_ISUER', 'WHEELHOUSE_OIDC_ISSUER'],
    ['WHEELHOUSE_RATE_LIMIT_SCALE', 'WHEELHOUSE_RATE_LIMITS_SCALE'],
  ])('%s', (given, known) => {
    expect(problems({ [given]: '1' })).toEqual([`unknown variable ${given}; did you mean ${known}?`])
  })

  test('in the file, also inside a group, all at once', () => {
    file('prot: 1\nratelimits: {scale: 2}\noidc: {isuer: x}\n')
    expect(problems()).toEqual([
      expect.stringMatching(/unknown key `prot` .* `port`/),
      expect.stringMatching(/unknown key `ratelimits` .* `rateLimits`/),
      expect.stringMatching(/unknown key `oidc.isuer` .* `oidc.issuer`/),
    ])
  })

  test('on the command line', () => {
    expect(problems({}, ['--prot=1'])).toEqual(['unknown argument --prot; did you mean --port?'])
    expect(problems({}, ['--port'])).toEqual(['--port needs a value'])
  })

  test('but variables of others, of the CLI and of the agent are let be', () => {
    expect(problems({ PATH: '/bin', HOME: '/', WHEELHOUSE_API_KEY: 'x', WHEELHOUSE_URL: 'y' })).toEqual([])
  })
})

describe('values', () => {
  test.each([
    [{ WHEELHOUSE_PORT: 'eighty' }, /WHEELHOUSE_PORT must be a whole number from 0 to 65535, not "eighty"/],
    [{ WHEELHOUSE_PORT: '65536' }, /whole number/],
    [{ WHEELHOUSE_PORT: '1.5' }, /whole number/],
    [{ WHEELHOUSE_LOG_LEVEL: 'loud' }, /one of trace, debug, info/],
    [{ WHEELHOUSE_ROLES: 'api,king' }, /a list of api, engine, ingest/],
    [{ WHEELHOUSE_AGENT_ENABLED: 'maybe' }, /true or false/],
    [{ WHEELHOUSE_SESSIONS_TTL_MS: 'a day' }, /a duration such as/],
    [{ DATABASE_URL: 'mysql://u:hunter2@h/d' }, /DATABASE_URL must be text that matches/],
    [{ OIDC_ISSUER: 'ftp://id.example' }, /an http or https address/],
    [{ OIDC_ISSUER: 'id.example' }, /oidc.issuer needs oidc.clientId/],
    [{ WHEELHOUSE_SAML_METADATA: 'none.xml' }, /saml: .*none.xml does not exist/],
    [{ WHEELHOUSE_SAML_METADATA: 'http://id.example/metadata' }, /saml.metadata must be fetched over https/],
    [{ WHEELHOUSE_SAML_METADATA: 'https://id.example/m', WHEELHOUSE_SAML_CERTIFICATE: 'idp.pem' }, /one or the other/],
    [{ WHEELHOUSE_SAML_ENTRY_POINT: 'https://id.example/sso' }, /saml.certificate and saml.issuer go together/],
    [{ WHEELHOUSE_SAML_ENTRY_POINT: 'id.example' }, /WHEELHOUSE_SAML_ENTRY_POINT must be text that matches/],
    [{ WHEELHOUSE_SAML_METADATE: 'x' }, /did you mean WHEELHOUSE_SAML_METADATA/],
    [{ WHEELHOUSE_TLS_CERT: '/none.pem' }, /tls.cert and tls.key go together/],
    [{ WHEELHOUSE_GRPC_PORT: '8080' }, /port and grpcPort are both 8080/],
  ])('%o are refused', (env, problem) => {
    expect(problems(env)[0]).toMatch(problem)
  })

  test('that are secret are never shown, neither in a refusal nor in print', () => {
    expect(problems({ DATABASE_URL: 'mysql://u:hunter2@h/d' }).join()).not.toContain('hunter2')
    const env = { DATABASE_URL: 'postgres://u:hunter2@h/d', OIDC_CLIENTSECRET: 'tiger' }
    const text = printConfig(explainConfig({ argv: [], env, cwd }))
    expect(text).not.toMatch(/hunter2|tiger/)
    expect(text).toContain('databaseUrl: "********" # environment: DATABASE_URL')
  })

  test('of durations are read with units, in the file too', () => {
    file('sessions: {ttlMs: 1h30m}\nretention: {logsMs: 86400000}\n')
    const config = load({ CORDUM_SESSION_TTL: '', WHEELHOUSE_RETENTION_EVENTS_MS: '90d' })
    expect(config.sessions.ttlMs).toBe(5_400_000)
    expect(config.retention).toMatchObject({ logsMs: 86_400_000, eventsMs: 7_776_000_000 })
  })

  test('that are a file or an address are the one or the other', () => {
    writeFileSync(join(cwd, 'idp.xml'), '')
    expect(load({ WHEELHOUSE_SAML_METADATA: 'idp.xml' }).saml.metadata).toBe(join(cwd, 'idp.xml'))
    const address = 'https://id.example/metadata/'
    expect(load({ WHEELHOUSE_SAML_METADATA: address }).saml.metadata).toBe(address)
  })

  test('0 takes free ports, also for several listeners', () => {
    const env = {
      WHEELHOUSE_PORT: '0',
      WHEELHOUSE_GRPC_PORT: '0',
      WHEELHOUSE_NATS_PORT: '0',
      WHEELHOUSE_FLEET_PORT: '0',
    }
    expect(load(env)).toMatchObject({ port: 0, grpcPort: 0, natsPort: 0, fleetPort: 0 })
  })

  test('of switches need no value on the command line', () => {
    expect(load({}, ['--cors-loopback=false', '--agent-require-certificate', '--port', '1'])).toMatchObject({
      agent: { requireCertificate: true },
      cors: { loopback: false },
      port: 1,
    })
  })
})

describe('documentation', () => {
  test('names every setting, every variable and every synonym', () => {
    const text = configReference()
    for (const { key, variables } of SETTINGS)
      for (const name of [key, ...variables]) expect(text).toContain(`\`${name}\``)
  })

  test('printed configuration is a file that leads to the same configuration', () => {
    const env = {
      WHEELHOUSE_PORT: '0',
      WHEELHOUSE_EGRESS_ALLOW: '10.0.0.0/8,a.example',
      WHEELHOUSE_RETENTION_LOGS_MS: '36h',
    }
    const explained = explainConfig({ argv: [], env, cwd })
    const text = printConfig(explained)
    expect(() => parse(text) as unknown).not.toThrow()
    file(text)
    expect(load()).toEqual(explained.config)
  })

  test('no two settings share a flag or a variable', () => {
    const names = SETTINGS.flatMap(({ flag, variables }) => [flag, ...variables])
    expect(new Set(names).size).toBe(names.length)
  })
})

test('the nearest name is the one with the fewest edits', () => {
  expect(edits('kitten', 'sitting')).toBe(3)
  expect(edits('', 'abc')).toBe(3)
  expect(nearest('haus', ['horse', 'house', 'mouse'])).toBe('house')
})
