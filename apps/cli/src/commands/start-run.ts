import { parse } from 'yaml'
import { readText } from '../io.ts'
import type { Call, Command } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { durationMs } from '../flags.ts'
import { serialised } from '../render.ts'
import { followRun } from './run-follow.ts'

/** Starts a run and, with `--wait`, follows it to its end. */
export const startRun = (complete: NonNullable<Command['complete']>): Command => ({
  name: 'run',
  summary: 'Start a run; --wait follows it and exits as it ended, --dry-run shows what it would do',
  args: ['id'],
  complete,
  flags: [
    { name: 'set', kind: 'pairs', value: 'key=value', summary: 'a member of the input; the value is read as YAML' },
    { name: 'file', short: 'f', kind: 'text', value: 'path', summary: 'the input as JSON or YAML (- reads stdin)' },
    { name: 'key', kind: 'text', value: 'text', summary: 'idempotency key: the same key gives the same run' },
    { name: 'wait', kind: 'switch', summary: 'follow it to its end' },
    { name: 'timeout', kind: 'text', value: 'time', summary: 'stop looking after this time (exit code 8)' },
    { name: 'dry-run', kind: 'switch', summary: 'execute nothing: show the plan and what policy says of each step' },
  ],
  examples: [
    'wheelhouse workflow run deploy --set version=1.4.2 --wait',
    'wheelhouse workflow run deploy -f input.json --dry-run',
  ],
  async run(call) {
    const { args, flags, voice, format, signal } = call
    const { client } = call.session()
    const key = flags.text('key')
    const dryRun = flags.on('dry-run')
    const { run_id: runId } = await client.jobs.runs.startRun({
      params: { id: args.one('id') },
      query: dryRun ? { dry_run: 'true' } : {},
      body: await inputOf(call),
      ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }),
      signal,
    })
    if (dryRun) return showPlan(call, runId)
    if (!flags.on('wait')) {
      if (format === 'json' || format === 'yaml') voice.line(serialised(format, { run_id: runId }))
      else voice.line(runId)
      voice.say(`Follow it: wheelhouse run watch ${runId}`)
      return EXIT.ok
    }
    voice.say(voice.tint('dim', `run ${runId}`))
    const timeout = flags.text('timeout')
    return followRun(call, runId, timeout === undefined ? undefined : durationMs(timeout))
  },
})

async function inputOf(call: Call): Promise<Record<string, unknown>> {
  const path = call.flags.text('file')
  const text = path === undefined ? '' : await readText(call.io, path)
  const given: unknown = text === '' ? {} : parse(text)
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new CliError(EXIT.usage, 'The input must be an object.')
  const set = Object.entries(call.flags.pairs('set')).map(([name, value]) => [name, parse(value) as unknown])
  return { ...given, ...Object.fromEntries(set) }
}

interface Planned {
  id: string
  type: string
  runs: 'yes' | 'no' | 'unknown'
  topic?: string
  decision?: string
  rule_id?: string
  reason?: string
}

/** The plan of a dry run; exits 6 when policy would deny a step, 7 when one would wait. */
async function showPlan(call: Call, runId: string): Promise<number> {
  const { voice, format } = call
  const run = await call.session().client.jobs.runs.getRun({ params: { id: runId }, signal: call.signal })
  const steps = (run.output as { steps?: Planned[] } | null)?.steps ?? []
  if (format === 'json' || format === 'yaml') voice.line(serialised(format, run.output))
  else
    for (const { id, type, runs, topic, decision, rule_id: rule, reason } of steps) {
      const said =
        decision === undefined ? '' : `: ${decision}${rule ? ` by ${rule}` : ''}${reason ? `, ${reason}` : ''}`
      const mark = runs === 'yes' ? '✓' : runs === 'no' ? '–' : '?'
      voice.line(`${mark} ${id} (${type}${topic ? ` ${topic}` : ''})${said}`)
    }
  voice.say('Nothing was executed.')
  if (steps.some(({ decision }) => decision === 'DENY')) return EXIT.denied
  return steps.some(({ decision }) => decision === 'REQUIRE_APPROVAL') ? EXIT.held : EXIT.ok
}
