import { contract } from '@wheelhouse/contract'
import { parse } from 'yaml'
import type { Call, Command } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { durationMs } from '../flags.ts'
import { readText } from '../io.ts'
import { serialised } from '../render.ts'
import { follow, type Followed } from './follow.ts'

type Told = (call: Call, jobId: string, seen: Followed) => number

/** Submits a job to a topic; policy decides before anything happens. */
export const submit = (told: Told): Command => ({
  name: 'submit',
  summary: 'Submit a job to a topic',
  args: ['topic'],
  flags: [
    { name: 'prompt', short: 'p', kind: 'text', value: 'text', summary: 'what is asked for (the topic)' },
    {
      name: 'input',
      short: 'i',
      kind: 'text',
      value: 'json',
      summary: 'its input as JSON or YAML; @file reads a file, @- stdin',
    },
    { name: 'label', short: 'l', kind: 'pairs', value: 'key=value', summary: 'a label; may be repeated' },
    { name: 'priority', kind: 'text', choices: ['interactive', 'batch', 'critical'], summary: 'what goes first' },
    { name: 'capability', kind: 'text', value: 'name', summary: 'what a worker must be able to do' },
    { name: 'requires', kind: 'list', value: 'what', summary: 'what a worker must have; may be repeated' },
    { name: 'risk', kind: 'list', value: 'tag', summary: 'a risk tag for policy; may be repeated' },
    { name: 'deadline', kind: 'text', value: 'time', summary: 'how long it may take in all, like 10m' },
    { name: 'key', kind: 'text', value: 'key', summary: 'idempotency key: the same key gives the same job for 7 days' },
    { name: 'wait', kind: 'switch', summary: 'follow it to its end' },
    { name: 'timeout', kind: 'text', value: 'time', summary: 'with --wait: stop looking after this time' },
    { name: 'dry-run', kind: 'switch', summary: 'ask policy what it would say, and submit nothing' },
  ],
  examples: [
    'wheelhouse job submit job.default --prompt "summarise the incident" --wait',
    "wheelhouse job submit job.wh.fleet.command.execute -i '{instanceId: web-1, command: uptime}' --wait",
  ],
  async run(call) {
    const { args, flags, voice, format, signal } = call
    const topic = args.one('topic')
    const input = await inputOf(call)
    const labels = flags.pairs('label')
    const body = {
      topic,
      prompt: flags.text('prompt') ?? topic,
      ...(input === undefined ? {} : { context: input }),
      ...given('priority', flags.text('priority')),
      ...given('capability', flags.text('capability')),
      ...given('idempotency_key', flags.text('key')),
      ...(flags.list('requires').length > 0 ? { requires: flags.list('requires') } : {}),
      ...(flags.list('risk').length > 0 ? { risk_tags: flags.list('risk') } : {}),
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      ...(flags.text('deadline') ? { deadline_ms: durationMs(flags.text('deadline') ?? '') } : {}),
    }
    const { client } = call.session()
    if (flags.on('dry-run')) {
      const answer = await client.exchange('jobs', contract.jobs.policy.explainPolicy, {
        body: {
          topic,
          labels,
          ...given('priority', flags.text('priority')),
          meta: {
            ...given('capability', flags.text('capability')),
            requires: flags.list('requires'),
            risk_tags: flags.list('risk'),
            labels,
          },
        },
        signal,
      })
      if (format === 'json' || format === 'yaml') voice.line(serialised(format, answer.body))
      else voice.line(`${answer.value.decision.replace('DECISION_TYPE_', '')}: ${answer.value.why}`)
      const codes: Record<string, number> = { DECISION_TYPE_DENY: EXIT.denied, DECISION_TYPE_REQUIRE_HUMAN: EXIT.held }
      return codes[answer.value.decision] ?? EXIT.ok
    }
    const answer = await client.exchange('jobs', contract.jobs.jobs.submitJob, { body, signal })
    const jobId = answer.value.job_id
    if (!flags.on('wait')) {
      voice.line(format === 'json' || format === 'yaml' ? serialised(format, answer.body) : jobId)
      voice.say(`Follow it: wheelhouse job watch ${jobId}`)
      return
    }
    voice.say(voice.tint('dim', jobId))
    const timeout = flags.text('timeout')
    const seen = await follow(call, jobId, {
      showOutput: format === 'table',
      stopWhenHeld: false,
      onInterrupt: 'leaves it',
      ...(timeout === undefined ? {} : { timeoutMs: durationMs(timeout) }),
    })
    if (seen.kind === 'ended' && format !== 'table') {
      const detail = await client.exchange('jobs', contract.jobs.jobs.getJob, { params: { id: jobId } })
      voice.line(format === 'name' ? jobId : serialised(format, detail.body))
    } else if (seen.kind === 'ended' && seen.end.output !== undefined && seen.end.output !== null)
      voice.line(typeof seen.end.output === 'string' ? seen.end.output : serialised('json', seen.end.output))
    return told(call, jobId, seen)
  },
})

const given = (name: string, value: string | undefined): Record<string, string> =>
  value === undefined ? {} : { [name]: value }

async function inputOf({ flags, io }: Call): Promise<unknown> {
  const input = flags.text('input')
  if (input === undefined) return undefined
  const text = input.startsWith('@') ? await readText(io, input.slice(1)) : input
  try {
    return parse(text)
  } catch (cause) {
    throw new CliError(EXIT.usage, `The input is neither JSON nor YAML: ${cause instanceof Error ? cause.message : ''}`)
  }
}
