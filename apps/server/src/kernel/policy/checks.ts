import { compileFact, globTest, normal } from './facts.ts'
import { readCommandPattern } from './match.ts'
import type { CommandPattern, Match } from './match.ts'
import { compilePattern } from './matcher.ts'
import { compileMcp } from './mcp.ts'
import { PatternError, alt } from './pattern.ts'
import { labelOf, secretsPresent } from './request.ts'
import type { Input } from './request.ts'

/** One condition of a rule; `field` is what `failed_on` names. */
export interface Check {
  readonly field: string
  readonly test: (input: Input) => boolean
}

type Kind = 'tenant' | 'capability' | 'packId' | 'actorId' | 'actorType'

/** Compiles a match to its checks, the cheap ones first; topics are left to the index. */
export function compileChecks(match: Match): Check[] {
  const checks: Check[] = []
  oneOf(checks, 'tenants', match.tenants, 'tenant')
  oneOf(checks, 'capabilities', match.capabilities, 'capability')
  oneOf(checks, 'pack_ids', match.packIds, 'packId')
  oneOf(checks, 'actor_ids', match.actorIds, 'actorId')
  oneOf(checks, 'actor_types', match.actorTypes, 'actorType')
  if (match.verbs.length > 0) {
    const tests = match.verbs.map(globTest)
    checks.push({ field: 'verbs', test: ({ verb }) => verb !== '' && tests.some((test) => test(verb)) })
  }
  for (const [key, value] of match.labels) {
    checks.push({ field: `labels.${key}`, test: ({ request }) => labelOf(request, key) === value })
  }
  if (match.riskTags.length > 0) {
    const tags = new Set(match.riskTags.map(normal))
    checks.push({ field: 'risk_tags', test: (input) => input.riskTags.some((tag) => tags.has(tag)) })
  }
  if (match.requires.length > 0) {
    const listed = match.requires.map(normal)
    checks.push({ field: 'requires', test: (input) => listed.every((entry) => input.requires.includes(entry)) })
  }
  if (match.secretsPresent !== null) {
    const wanted = match.secretsPresent
    checks.push({ field: 'secrets_present', test: (input) => secretsPresent(input) === wanted })
  }
  const mcp = match.mcp && compileMcp(match.mcp)
  if (mcp) checks.push({ field: 'mcp', test: (input) => input.mcp === null || mcp(input.mcp) === undefined })
  for (const condition of match.facts) {
    const test = compileFact(condition)
    checks.push({ field: `facts.${condition.path}`, test: ({ facts }) => test(facts) })
  }
  if (match.command.length > 0) {
    const patterns = match.command.map(readCommandPattern)
    const inLine = anyPattern(patterns.filter(({ over }) => over === 'line'))
    const inCommand = anyPattern(patterns.filter(({ over }) => over === 'command'))
    checks.push({
      field: 'command',
      test: ({ command }) => command.lines.some(inLine) || command.commands.some(inCommand),
    })
  }
  return checks
}

/** jobs.md 20.2: equal to one entry, trimmed and case-insensitive; an empty value never matches. */
function oneOf(checks: Check[], field: string, entries: readonly string[], kind: Kind): void {
  if (entries.length === 0) return
  const allowed = new Set(entries.map(normal))
  allowed.delete('')
  checks.push({ field, test: (input) => allowed.has(input[kind]) })
}

/** One automaton for all patterns, which reads a text once; one each where together they are too large. */
function anyPattern(patterns: readonly CommandPattern[]): (text: string) => boolean {
  if (patterns.length === 0) return () => false
  const nodes = patterns.map(({ node }) => node)
  try {
    return compilePattern(alt(nodes))
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    const tests = nodes.map(compilePattern)
    return (text) => tests.some((test) => test(text))
  }
}
