import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contextName, contextPath, readContexts, writeContexts } from './contexts.ts'
import { CliError, EXIT } from './exit.ts'
import { findTarget, serverUrl } from './target.ts'

let home: string
let env: Record<string, string>
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'wh-contexts-'))
  env = { HOME: home, WHEELHOUSE_DATA_DIR: join(home, 'no-data') }
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const find = (flags: Parameters<typeof findTarget>[0] = {}) => findTarget(flags, { env, cwd: home })
const keep = () =>
  writeContexts(contextPath(env), {
    current: 'one',
    contexts: { one: { url: 'https://one.test', token: 'wh_one' }, two: { url: 'https://two.test', token: 'wh_two' } },
  })

function install(folder: string): string {
  mkdirSync(join(home, folder), { recursive: true })
  const connection = {
    url: 'http://127.0.0.1:9',
    tenant: 'default',
    admin: { email: 'a', password: 'p', apiKey: 'wh_local' },
    pid: 1,
  }
  writeFileSync(join(home, folder, 'connection.json'), JSON.stringify(connection))
  return folder
}

describe('the file of contexts', () => {
  test('lies where XDG says, is readable by its owner alone, and comes back as it was written', () => {
    expect(contextPath({ HOME: home })).toBe(join(home, '.config/wheelhouse/config.yaml'))
    expect(contextPath({ HOME: home, XDG_CONFIG_HOME: '/x' })).toBe('/x/wheelhouse/config.yaml')
    expect(contextPath({ ...env, WHEELHOUSE_CLI_CONFIG: '/y.yaml' })).toBe('/y.yaml')
    keep()
    const path = contextPath(env)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readContexts(path).contexts['two']).toEqual({ url: 'https://two.test', token: 'wh_two' })
    chmodSync(path, 0o644)
    writeContexts(path, { contexts: {} })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(existsSync(`${path}.${process.pid}.new`)).toBe(false)
    expect(readFileSync(path, 'utf8')).not.toContain('wh_two')
  })

  test('that cannot be read as such is a usage error that names it', () => {
    mkdirSync(join(home, '.config/wheelhouse'), { recursive: true })
    writeFileSync(contextPath(env), 'contexts: [')
    expect(() => readContexts(contextPath(env))).toThrow(contextPath(env))
    writeFileSync(contextPath(env), 'contexts: {a: {}}')
    expect(() => readContexts(contextPath(env))).toThrow('context a has no url')
  })
})

describe('the server of a run', () => {
  test('is that of the flag before that of the environment before the current context', () => {
    keep()
    expect(find()).toMatchObject({ url: 'https://one.test', token: 'wh_one', source: 'context' })
    env['WHEELHOUSE_CONTEXT'] = 'two'
    expect(find()).toMatchObject({ url: 'https://two.test', source: 'environment' })
    env['WHEELHOUSE_URL'] = 'https://three.test'
    env['WHEELHOUSE_API_KEY'] = 'wh_env'
    expect(find()).toMatchObject({ url: 'https://three.test', token: 'wh_env' })
    expect(find({ context: 'one' })).toMatchObject({ token: 'wh_one', source: 'flag' })
    delete env['WHEELHOUSE_API_KEY']
    expect(find({ url: 'two.test' })).toMatchObject({ url: 'https://two.test', token: 'wh_two' })
    expect(find({ url: 'https://four.test' }).token).toBeUndefined()
  })

  test('is the installation on this host where nothing else is said, and --data-dir where it is', () => {
    env['WHEELHOUSE_DATA_DIR'] = install('data')
    expect(find()).toMatchObject({ url: 'http://127.0.0.1:9', token: 'wh_local', source: 'local' })
    keep()
    expect(find()).toMatchObject({ source: 'context' })
    expect(find({ dataDir: 'data' })).toMatchObject({ source: 'local' })
    expect(() => find({ dataDir: 'elsewhere' })).toThrow('elsewhere')
  })

  test('that is missing says how to get one', () => {
    const refusal = (flags: Parameters<typeof findTarget>[0]): CliError => {
      try {
        find(flags)
      } catch (error) {
        return error as CliError
      }
      throw new Error('it was found')
    }
    expect(refusal({})).toMatchObject({ exitCode: EXIT.auth, next: expect.stringContaining('wheelhouse login') })
    keep()
    expect(refusal({ context: 'three' })).toMatchObject({
      exitCode: EXIT.usage,
      next: expect.stringContaining('one, two'),
    })
  })

  test('is written as people write addresses', () => {
    expect(serverUrl('wheelhouse.example.com')).toBe('https://wheelhouse.example.com')
    expect(serverUrl('localhost:8080')).toBe('http://localhost:8080')
    expect(serverUrl('http://127.0.0.1:8080/')).toBe('http://127.0.0.1:8080')
    expect(serverUrl('https://host/base/')).toBe('https://host/base')
    for (const wrong of ['ftp://x', 'https://user:secret@x', 'https://x/?q=1', 'http://'])
      expect(() => serverUrl(wrong)).toThrow(CliError)
    expect(contextName('http://127.0.0.1:8080')).toBe('localhost:8080')
    expect(contextName('https://wheelhouse.example.com')).toBe('wheelhouse.example.com')
  })
})
