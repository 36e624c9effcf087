import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { Screens } from './screens.ts'
import { ScreenReader, shellScript, typedLines } from './terminal-command.ts'

const run = (script: string) => spawnSync('/bin/sh', ['-c', script], { encoding: 'utf8' })

describe('the shell script of a request', () => {
  const nasty = [`it's`, '$HOME', '`id`', 'a\nb', '--', '', '*', '\\', '"', '; exit 9']

  test('arguments and environment arrive as they are', () => {
    const { stdout, status } = run(
      shellScript({ command: 'printf', args: ['<%s>', ...nasty], env: { X: nasty.join('|') } }),
    )
    expect(stdout).toBe(nasty.map((each) => `<${each}>`).join(''))
    expect(status).toBe(0)
    expect(run(shellScript({ command: 'printf %s "$X"', shell: true, env: { X: nasty.join('|') } })).stdout).toBe(
      nasty.join('|'),
    )
  })

  test('a name that is none cannot smuggle a command in', () => {
    expect(run(shellScript({ command: 'true', env: { 'A; echo smuggled': '1' } })).stdout).toBe('')
  })

  test('a script gets its arguments, its exit code counts, and its file goes', () => {
    const { stdout, status } = run(
      shellScript({ script: 'echo "$0 $1"; exit 7\n', interpreter: '/bin/sh -e', args: ['x y'] }),
    )
    const [file = '', rest] = stdout.trim().split(/ (.*)/)
    expect([rest, status]).toEqual(['x y', 7])
    expect(run(`test -e ${file}`).status).not.toBe(0)
  })

  test('a folder that is not there is a failure', () => {
    expect(run(shellScript({ command: 'echo', args: ['ran'], cwd: '/no/such' }))).toMatchObject({
      stdout: '',
      status: 1,
    })
  })
})

describe('reading a screen', () => {
  test('finds the marks byte by byte, and takes echoes and colours for neither mark nor output', async () => {
    let output = ''
    let exit: number | undefined
    const reader = new ScreenReader({ output: (data) => (output += data.toString()), ended: (code) => (exit = code) })
    const typed = [...typedLines('echo x', reader.mark)].join('')
    const screen = `$ ${reader.preparation}\r\n${reader.mark}:ready\r\n${typed}${reader.mark}:begin\n\x1b[1mgrün\x1b[0m\r\nmore ${reader.mark.slice(0, 9)}\n${reader.mark}:end:12\n$ `
    for (const byte of Buffer.from(screen)) reader.read(Buffer.from([byte]))
    await reader.prepared
    expect(output).toBe(`grün\nmore ${reader.mark.slice(0, 9)}\n`)
    expect(exit).toBe(12)
  })

  test('no line is longer than a terminal takes, no piece longer than a base frame', () => {
    for (const piece of typedLines('x'.repeat(200_000), 'mark')) {
      expect(piece.length).toBeLessThan(40_000)
      expect(Math.max(...piece.split('\n').map((line) => line.length))).toBeLessThan(4_095)
    }
  })
})

test('a screen keeps the last 256 KiB', () => {
  const screens = new Screens(() => {})
  screens.write('unknown', Buffer.from('x'))
  screens.add('s')
  for (let index = 0; index < 400; index++) screens.write('s', Buffer.alloc(1024, index % 256))
  const replay = screens.replay('s')
  expect(replay).toHaveLength(256 * 1024)
  expect(replay.at(-1)).toBe(399 % 256)
  screens.clear()
  expect(screens.has('s')).toBe(false)
})
