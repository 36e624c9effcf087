// `npm run verify`: format, types, lint, boundaries, dead code, build, tests, generated files. `--only a,b` and `--skip a,b` choose.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { becomeNode, ensurePackages, fail, modernNode, root, seconds, tell } from './bootstrap.mjs'

ensurePackages()
if (modernNode() !== process.execPath) await becomeNode([join(root, 'scripts', 'verify.mjs'), ...process.argv.slice(2)])

const report = join(root, '.cache', 'vitest.json')

/** Each step is one command; those of a group run side by side, groups one after the other. */
const groups = [
  [
    { name: 'format', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
    { name: 'types', command: ['tsc', '--noEmit'] },
    { name: 'lint', command: ['oxlint', '--deny-warnings'] },
    {
      name: 'boundaries',
      command: ['depcruise', '--output-type', 'err', 'apps', 'packages', 'bench', 'campaigns', 'scripts', 'tests'],
    },
    { name: 'dead-code', command: ['knip'] },
  ],
  [{ name: 'build', command: [process.execPath, 'scripts/build.ts'] }],
  [
    {
      name: 'tests',
      command: ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
      live: true,
    },
  ],
  [{ name: 'generated', command: [process.execPath, 'scripts/generate.ts', '--check'] }],
]

const names = groups.flat().map((step) => step.name)
const { values } = parseArgs({ options: { only: { type: 'string' }, skip: { type: 'string' } } })
const only = chosen(values.only) ?? names
const skip = chosen(values.skip) ?? []

const failed = []
mkdirSync(join(root, '.cache'), { recursive: true })
rmSync(report, { force: true })
const began = Date.now()
for (const group of groups) {
  const queue = group.filter(({ name }) => only.includes(name) && !skip.includes(name))
  // Two at a time: the machines of CI have two cores.
  await Promise.all([worker(queue), worker(queue)])
}
tell('')
tell(failed.length === 0 ? `Verified in ${seconds(began)}.` : `Failed in ${seconds(began)}: ${failed.join(', ')}.`)
const counts = testCounts()
if (counts) console.log(`${counts.passed} passed, ${counts.failed} failed`)
process.exit(failed.length === 0 ? 0 : 1)

async function worker(queue) {
  for (let step = queue.shift(); step; step = queue.shift()) await run(step)
}

async function run({ name, command: [program, ...args], live }) {
  const started = Date.now()
  if (live) tell(`› ${name}`)
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', live ? 'inherit' : 'pipe', live ? 'inherit' : 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
  const ok = await new Promise((resolve) => {
    child.once('error', (error) => {
      output += `${error.message}\n`
      resolve(false)
    })
    child.once('close', (code) => resolve(code === 0))
  })
  if (!ok) failed.push(name)
  tell(`${ok ? '✓' : '✗'} ${name} (${seconds(started)})`)
  if (!ok && output) tell(output.trimEnd().replaceAll(/^/gm, '  '))
}

function testCounts() {
  if (!existsSync(report)) return undefined
  const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(readFileSync(report, 'utf8'))
  // A file that cannot even be loaded has no tests to fail, yet must show.
  return { passed: numPassedTests, failed: Math.max(numFailedTests, Math.min(numFailedTestSuites, 1)) }
}

function chosen(text) {
  if (text === undefined) return undefined
  const list = text.split(',')
  const unknown = list.filter((name) => !names.includes(name))
  if (unknown.length > 0) fail(`Unknown step ${unknown.join(', ')}; there are ${names.join(', ')}.`)
  return list
}
