import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { groups, topLevel } from '../apps/cli/src/commands/index.ts'
import { buildProgram } from '../apps/cli/src/program.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGES = ['README.md', ...globSync('docs/**/*.md', { cwd: ROOT }).toSorted()].map((path) => ({
  path,
  text: readFileSync(join(ROOT, path), 'utf8'),
}))

/** Fenced blocks of a page: the word after the fence, and what stands inside. */
const blocksOf = (text: string): { language: string; content: string }[] =>
  [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', content = '']) => ({ language, content }))

const proseOf = (text: string): string => text.replaceAll(/^```.*?^```$/gms, '').replaceAll(/`[^`\n]*`/g, '')

/** Targets of the page's links and pictures that lie in this repository. */
const linksOf = (text: string): string[] =>
  [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))

/** What GitHub makes of headings. */
const anchorsOf = (text: string): string[] =>
  [...proseOf(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

test('every link of the documentation leads somewhere', () => {
  const broken = PAGES.flatMap(({ path, text }) =>
    linksOf(text).flatMap((target) => {
      const [file = '', anchor] = target.split('#')
      const to = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file))
      if (!existsSync(join(ROOT, to))) return [`${path}: ${target}`]
      if (anchor === undefined || !to.endsWith('.md')) return []
      return anchorsOf(readFileSync(join(ROOT, to), 'utf8')).includes(anchor) ? [] : [`${path}: ${target}`]
    }),
  )
  expect(broken).toEqual([])
})

test('every page is in the list of pages', () => {
  const listed = linksOf(readFileSync(join(ROOT, 'docs', 'README.md'), 'utf8')).map((target) => join('docs', target))
  const unlisted = PAGES.map(({ path }) => path).filter(
    (path) => !['README.md', 'docs/README.md'].includes(path) && !listed.includes(path),
  )
  expect(unlisted).toEqual([])
})

test('every file that the architecture page names is there', () => {
  const text = readFileSync(join(ROOT, 'docs', 'architecture.md'), 'utf8').replaceAll(/^```.*?^```$/gms, '')
  const named = [
    ...text.matchAll(
      /`([\w-]+(?:\/[\w.-]+)*\.ts|(?:kernel|native|jobs|fleet|release|platform)\/[\w/.-]+|packages\/[\w/-]+)`/g,
    ),
  ]
  const homes = [
    '',
    'apps/server/src',
    'apps/server/src/kernel/http',
    'apps/server/src/kernel/workflows',
    'apps/server/src/jobs/packs',
  ]
  const gone = named
    .map(([, path = '']) => path)
    .filter((path) => !homes.some((home) => existsSync(join(ROOT, home, path))))
  expect(named.length).toBeGreaterThan(30)
  expect(gone).toEqual([])
})

type Command = ReturnType<typeof buildProgram>['commander']

/** The words of the command lines of `wheelhouse` in a line of a shell: up to a comment, a pipe or the end of a substitution. */
function commandLines(line: string): string[][] {
  return [...line.matchAll(/(?:^|[\s(`])wheelhouse ((?:"[^"]*"|'[^']*'|\$\([^)]*\)|[^#|;&)`"'])*)/g)].map(
    ([, rest = '']) => [...rest.matchAll(/(?:"[^"]*"|'[^']*'|\$\([^)]*\)|[^\s"'])+/g)].map(([word]) => word),
  )
}

/** Why a command line is none; undefined when the program would take it. */
function refusal(program: Command, words: readonly string[]): string | undefined {
  let command = program
  let at = 0
  for (; at < words.length; at++) {
    const next = command.commands.find((each) => [each.name(), ...each.aliases()].includes(words[at] ?? ''))
    if (!next) break
    command = next
  }
  if (command === program) return `there is no command ${words[0]}`
  if (command.commands.length > 0) return `${command.name()} needs a command, not ${words[at]}`
  let given = 0
  for (; at < words.length; at++) {
    const word = words[at] ?? ''
    if (word === '--') break
    if (!word.startsWith('-')) {
      given++
      continue
    }
    const [name = ''] = word.split('=')
    if (name === '--help') return undefined
    const option = command.options.find(({ long, short }) => long === name || short === name)
    if (!option) return `${command.name()} has no ${name}`
    if (option.required && !word.includes('=')) at++
  }
  const wanted = command.registeredArguments
  const least = wanted.filter(({ required }) => required).length
  const most = wanted.some(({ variadic }) => variadic) ? Infinity : wanted.length
  if (words[at] === '--') return undefined
  return given < least || given > most ? `${command.name()} takes ${least} words, not ${given}` : undefined
}

test('command lines that the documentation shows are those of the program', () => {
  const { stdout, stderr, stdin, env } = process
  const io = { env, cwd: ROOT, stdin, stdout, stderr, signal: new AbortController().signal }
  const { commander } = buildProgram(io, topLevel, groups)
  let seen = 0
  const wrong = PAGES.flatMap(({ path, text }) =>
    blocksOf(text)
      .filter(({ language }) => ['', 'console', 'sh', 'yaml'].includes(language))
      .flatMap(({ content }) => content.split('\n'))
      .flatMap((line) => {
        if (/^[✓✗A-Z]/.test(line)) return []
        return commandLines(line).flatMap((words) => {
          if (words.length === 0 || words.includes('…')) return []
          seen++
          const reason = refusal(commander, words)
          return reason === undefined ? [] : [`${path}: ${line}: ${reason}`]
        })
      }),
  )
  expect(wrong).toEqual([])
  expect(seen).toBeGreaterThan(30)
})
