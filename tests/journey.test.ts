import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { processesBelow, type ServerProcess, startServer, until } from './server-process.ts'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
const CLI = join(PROJECT, 'apps', 'cli', 'bin', 'wheelhouse.mjs')
const PAGE = readFileSync(join(PROJECT, 'docs', 'first-workflow.md'), 'utf8')

interface Step {
  command: string
  /** What the page says that it prints; `…` stands for anything, alone in a line for any lines. */
  printed: string[]
}

/** The lines after `$` of the page's console blocks, in order, with what stands below each. */
function stepsOf(page: string): Step[] {
  const steps: Step[] = []
  for (const [, block = ''] of page.matchAll(/^```console\n(.*?)^```$/gms))
    for (const line of block.trimEnd().split('\n')) {
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), printed: [] })
      else steps.at(-1)?.printed.push(line)
    }
  return steps
}

/** The files that the page says to save, by name. */
const filesOf = (page: string): [name: string, content: string][] =>
  [...page.matchAll(/Save this as `([\w.-]+)`:\n\n```\w+\n(.*?)^```$/gms)].map(([, name = '', content = '']) => [
    name,
    content,
  ])

/** Columns are as wide as their contents, which differ: spaces count as one. */
const plain = (line: string): string => line.trim().replaceAll(/\s+/g, ' ')

const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** The first line of the page that what was printed does not have, after those before it; undefined: all are there. */
function missing(printed: readonly string[], output: string): string | undefined {
  const lines = output.split('\n').map(plain)
  let at = 0
  for (const expected of printed.map(plain).filter((line) => line !== '…')) {
    const pattern = new RegExp(`^${expected.split('…').map(literally).join('.*')}$`)
    const found = lines.findIndex((line, index) => index >= at && pattern.test(line))
    if (found < 0) return expected
    at = found + 1
  }
  return undefined
}

/** Runs the commands in one shell, as a person types them, for half a minute each at most; what each printed, on either stream, and how it ended. */
async function play(commands: readonly string[], cwd: string, env: Record<string, string>) {
  const mark = '--- end of a command ---'
  const script = [
    'npx() { shift; timeout 30 node "$CLI" "$@"; }',
    ...commands.map((each) => `${each}\necho "${mark}$?"`),
  ]
  const shell = spawn('bash', ['-c', `exec 2>&1\n${script.join('\n')}`], {
    cwd,
    env: { PATH: `${join(PROJECT, 'node_modules', '.bin')}:${process.env['PATH']}`, HOME: cwd, CLI, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  shell.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  await new Promise((resolve) => shell.once('close', resolve))
  return printed
    .split(new RegExp(`(?<=${mark}\\d+)\n`))
    .slice(0, commands.length)
    .map((each) => {
      const [output = '', code = ''] = each.split(mark)
      return { output, code: Number(code) }
    })
}

let home: string
let server: ServerProcess

beforeAll(async () => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'wh-journey-')))
  symlinkSync(join(PROJECT, 'packs'), join(home, 'packs'))
  server = await startServer(join(home, 'data'))
})
afterAll(async () => {
  server.process.kill('SIGTERM')
  await server.ended
  await until('no process is left', () => processesBelow(home).length === 0)
  rmSync(home, { recursive: true, force: true })
})

test('a new user who follows the page installs, runs, approves, tries and changes the policy, and goes back', async () => {
  const steps = stepsOf(PAGE)
  expect(steps.length).toBeGreaterThan(15)
  for (const [name, content] of filesOf(PAGE)) writeFileSync(join(home, name), content)
  const commands = steps.map(({ command }) => command)
  const played = await play(commands, home, { WHEELHOUSE_DATA_DIR: join(home, 'data') })
  for (const [index, { command, printed }] of steps.entries()) {
    const { output, code } = played[index] ?? { output: 'it did not run', code: -1 }
    expect({ command, code, missing: missing(printed, output), output }).toEqual({
      command,
      code: 0,
      missing: undefined,
      output,
    })
  }
})

test('workflows and policies that other pages show are taken as they stand', async () => {
  const shown = globSync('docs/*.md', { cwd: PROJECT }).flatMap((path) =>
    [...readFileSync(join(PROJECT, path), 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms)].map(
      ([, content = '']) => content,
    ),
  )
  const workflows = shown.filter((content) => /^steps:/m.test(content))
  const policies = shown.filter((content) => /^rules:/m.test(content))
  expect(workflows.length).toBeGreaterThan(1)
  expect(policies.length).toBeGreaterThan(1)
  const write = (kind: string) => (content: string, at: number) =>
    writeFileSync(join(home, `${kind}-${at}.yaml`), content)
  workflows.forEach(write('workflow'))
  policies.forEach(write('policy'))
  const played = await play(
    [
      ...workflows.map((_, at) => `npx wheelhouse workflow validate -f workflow-${at}.yaml`),
      ...policies.map((_, at) => `npx wheelhouse policy put secops/shown-${at} -f policy-${at}.yaml`),
    ],
    home,
    { WHEELHOUSE_DATA_DIR: join(home, 'data') },
  )
  expect(played.filter(({ code }) => code !== 0)).toEqual([])
})
