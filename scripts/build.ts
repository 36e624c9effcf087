import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

interface Part {
  name: string
  /** Files and folders that the result depends on, besides the packages' lock file. */
  sources: string[]
  result: string
  folder: string
  command: [string, ...string[]]
}

const PARTS: Part[] = [
  {
    name: 'console',
    sources: ['apps/console', 'packages/contract/src', 'packages/sdk/src'],
    result: 'apps/console/dist/index.html',
    folder: 'apps/console',
    command: ['vite', 'build', '--logLevel', 'warn'],
  },
  {
    name: 'agent',
    sources: ['apps/agent', 'packages/sdk/src'],
    result: 'apps/agent/dist/agent.mjs',
    folder: 'apps/agent',
    // The pty has a native part and stays a package; everything else becomes one file.
    command: [
      'rolldown',
      'src/main.ts',
      '--file',
      'dist/agent.mjs',
      '--format',
      'esm',
      '--platform',
      'node',
      '--external',
      '@lydell/node-pty',
    ],
  },
]

/** Builds the parts whose sources changed since their last build (all with `force`). False when one failed; its output is shown. */
export async function buildChanged(force = false): Promise<boolean> {
  for (const part of PARTS) {
    const stamp = join(root, '.cache', `${part.name}.built`)
    const state = stateOf(part)
    if (!force && existsSync(join(root, part.result)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === state)
      continue
    const started = Date.now()
    process.stderr.write(`› Building the ${part.name}\n`)
    rmSync(stamp, { force: true })
    const failure = await run(part)
    if (failure !== undefined) {
      process.stderr.write(`${failure.trimEnd()}\n`)
      return false
    }
    mkdirSync(join(root, '.cache'), { recursive: true })
    writeFileSync(stamp, state)
    process.stderr.write(`  done in ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
  }
  return true
}

function stateOf({ sources, command }: Part): string {
  const hash = createHash('sha256').update(JSON.stringify(command))
  for (const file of [...sources.flatMap((source) => filesBelow(join(root, source))), join(root, 'package-lock.json')])
    hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file))
  return hash.digest('hex')
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !['node_modules', 'dist', '.vite'].includes(name) && !name.endsWith('.test.ts'))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : join(folder, entry.name)))
}

function run({ folder, command: [program, ...args] }: Part): Promise<string | undefined> {
  const bins = [join(root, folder, 'node_modules', '.bin'), join(root, 'node_modules', '.bin')]
  const path = [...bins, process.env['PATH']].join(delimiter)
  // Whoever starts the server, a test among them, gets what is shipped: without this Vite takes over NODE_ENV=test.
  const env = { ...process.env, PATH: path, NODE_ENV: 'production' }
  const child = spawn(program, args, { cwd: join(root, folder), env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code) => resolve(code === 0 ? undefined : output || `${program} ended with ${code}`))
  })
}

if (import.meta.main) process.exitCode = (await buildChanged(process.argv.includes('--force'))) ? 0 : 1
