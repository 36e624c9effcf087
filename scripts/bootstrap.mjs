// What every command of this project begins with. Plain JavaScript without packages: it runs on Node 20 before any is installed.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url))

const OLDEST_NODE = [20, 19]
const OWN_NODE_FROM = 24

/** Prints one step for people, on stderr so that stdout stays the command's own. */
export function tell(text) {
  process.stderr.write(`${text}\n`)
}

/** Ends the command with a message for people. */
export function fail(text) {
  tell(`\n${text}`)
  process.exit(1)
}

/**
 * Installs the npm packages when they are missing or other than package-lock.json asks for, and puts their programs (among
 * them Node 24) first on the path.
 */
export function ensurePackages() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]))
    fail(`Wheelhouse needs Node ${OLDEST_NODE.join('.')} or later to begin with; this is ${process.version}.`)
  if (!packagesAreCurrent()) {
    tell('› Installing npm packages')
    const started = Date.now()
    const npm = process.env.npm_execpath
    const [program, args] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []]
    const done = spawnSync(program, [...args, 'ci', '--no-fund', '--no-audit', '--loglevel=error'], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    })
    if (done.status !== 0) fail('The npm packages could not be installed; see the messages above.')
    writeFileSync(stampFile(), lockHash())
    tell(`  done in ${seconds(started)}`)
  }
  process.env.PATH = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
}

function packagesAreCurrent() {
  const installed = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installed)) return false
  if (existsSync(stampFile()) && readFileSync(stampFile(), 'utf8') === lockHash()) return true
  // Somebody ran npm by hand; git may have touched the lock file without a change, hence the stamp.
  if (statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs) return false
  writeFileSync(stampFile(), lockHash())
  return true
}

function stampFile() {
  return join(root, 'node_modules', '.wheelhouse-lock')
}

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
}

/** The Node that runs TypeScript: this one from 24 on, else the one that came with the packages. */
export function modernNode() {
  if (Number(process.versions.node.split('.')[0]) >= OWN_NODE_FROM) return process.execPath
  const bundled = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  if (!existsSync(bundled))
    fail(
      `Node ${OWN_NODE_FROM} is needed and comes with the packages for Linux only; install it for ${process.platform}.`,
    )
  return bundled
}

/**
 * Goes on as `node args` under the modern Node and never returns: in this very process where Node can do that, else in a child
 * that gets our streams and signals and whose end is ours. Begun by npm, it ends with npm, however npm ended.
 */
export function becomeNode(args) {
  // Half of a start is compiling what was compiled the last time.
  process.env.NODE_COMPILE_CACHE ??= join(root, '.cache', 'node')
  const command = [modernNode(), ...args]
  const canReplace = typeof process.execve === 'function'
  const setpriv = !canReplace || process.env.npm_lifecycle_event ? findProgram('setpriv') : undefined
  const bound = setpriv && spawnSync(setpriv, ['--pdeathsig=TERM', 'true']).status === 0
  const [program, ...words] = bound ? [setpriv, '--pdeathsig=TERM', '--', ...command] : command
  if (canReplace) process.execve(program, [program, ...words], process.env)
  const child = spawn(program, words, { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('error', (error) => fail(`${program} cannot be started: ${error.message}`))
  child.once('exit', (code, signal) => {
    if (signal) {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    } else process.exit(code ?? 1)
  })
  return new Promise(() => undefined)
}

/** The path of a program, also where Debian keeps those of administrators; undefined when it is not installed. */
export function findProgram(name) {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/local/bin',
    '/usr/local/sbin',
    '/usr/sbin',
    '/usr/bin',
  ]
  for (const folder of folders) {
    const file = join(folder || '.', name)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // The next folder may have it.
    }
  }
  return undefined
}

/**
 * Sees to it that the Debian packages are there, given as program → package. Installs what is missing where we are root or may
 * use sudo without a password; returns the packages that are still missing.
 */
export function ensureDebianPackages(wanted) {
  const missing = () =>
    Object.entries(wanted)
      .filter(([program]) => !findProgram(program))
      .map(([, name]) => name)
  const names = missing()
  if (names.length === 0) return []
  const apt = findProgram('apt-get')
  const isRoot = process.getuid?.() === 0
  if (!apt || !(isRoot || spawnSync('sudo', ['-n', 'true']).status === 0)) return names
  tell(`› Installing ${names.join(', ')} with apt-get`)
  const started = Date.now()
  const get = (...args) => {
    const words = ['DEBIAN_FRONTEND=noninteractive', apt, '-q', '-y', '-o', 'DPkg::Lock::Timeout=120', ...args]
    const [program, ...rest] = isRoot ? ['env', ...words] : ['sudo', '-n', 'env', ...words]
    return spawnSync(program, rest, { encoding: 'utf8' })
  }
  const install = () => get('install', '--no-install-recommends', ...names)
  let done = install()
  if (done.status !== 0) {
    get('update')
    done = install()
  }
  if (done.status !== 0) tell(`${done.stdout ?? ''}${done.stderr ?? ''}`.trim())
  // Debian starts a service of its own on the port that ours is to have.
  if (names.includes('nats-server') && existsSync('/run/systemd/system'))
    spawnSync(isRoot ? 'systemctl' : 'sudo', [
      ...(isRoot ? [] : ['-n', 'systemctl']),
      'disable',
      '--now',
      'nats-server',
    ])
  tell(`  done in ${seconds(started)}`)
  return missing()
}

/** Time since `started` for people. */
export function seconds(started) {
  return `${((Date.now() - started) / 1000).toFixed(1)} s`
}
