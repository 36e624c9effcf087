import { contract } from '@wheelhouse/contract'
import type { Command, Group } from '../command.ts'
import { EXIT } from '../exit.ts'
import { harmless } from '../io.ts'
import { serialised } from '../render.ts'
import { bundleCommands } from './policy-bundles.ts'

const check: Command = {
  name: 'check',
  summary: 'What policy would say, rule by rule; exits 0 allowed, 6 denied, 7 needs approval',
  args: ['topic'],
  flags: [
    { name: 'command', kind: 'text', value: 'line', summary: 'the command line that would run (fact `command`)' },
    {
      name: 'instance-label',
      kind: 'pairs',
      value: 'key=value',
      summary: 'a label of the machine (fact `instance.labels.<key>`)',
    },
    { name: 'fact', kind: 'pairs', value: 'key=value', summary: 'any fact; may be repeated' },
    { name: 'label', short: 'l', kind: 'pairs', value: 'key=value', summary: 'a label of the job' },
    { name: 'capability', kind: 'text', value: 'name', summary: 'the capability that is asked for' },
    { name: 'risk', kind: 'list', value: 'tag', summary: 'a risk tag; may be repeated' },
    { name: 'actor', kind: 'text', value: 'id', summary: 'who would ask' },
    { name: 'trace', kind: 'switch', summary: 'also the rules that did not match, and on what they failed' },
  ],
  examples: [
    'wheelhouse policy check job.wh.fleet.command.execute --command "rm -rf /"',
    'wheelhouse policy check job.wh.fleet.command.execute --command uptime --instance-label env=production',
  ],
  async run({ args, flags, session, voice, format, signal }) {
    const command = flags.text('command')
    const labels = flags.pairs('label')
    const facts = {
      ...flags.pairs('fact'),
      ...Object.fromEntries(
        Object.entries(flags.pairs('instance-label')).map(([key, value]) => [`instance.labels.${key}`, value]),
      ),
      ...(command === undefined ? {} : { command }),
    }
    const capability = flags.text('capability')
    const actor = flags.text('actor')
    const answer = await session().client.exchange('jobs', contract.jobs.policy.explainPolicy, {
      body: {
        topic: args.one('topic'),
        labels,
        facts,
        meta: {
          labels,
          risk_tags: flags.list('risk'),
          ...(capability ? { capability } : {}),
          ...(actor ? { actor_id: actor } : {}),
        },
      },
      signal,
    })
    const { decision, why, trace } = answer.value
    const word = decision.replace('DECISION_TYPE_', '')
    if (format === 'json' || format === 'yaml') voice.line(serialised(format, answer.body))
    else if (format === 'name') voice.line(word)
    else {
      const tone = word === 'DENY' ? 'red' : word.startsWith('ALLOW') ? 'green' : 'yellow'
      voice.line(`${voice.paint(tone, word)}: ${harmless(why)}`)
      if (flags.on('trace'))
        for (const { rule_id: rule, matched, failed_on: on } of trace)
          voice.line(`  ${matched ? '✓' : '·'} ${rule}${matched ? '' : `: ${harmless(on ?? 'did not match')}`}`)
    }
    return word === 'DENY' ? EXIT.denied : word === 'REQUIRE_HUMAN' ? EXIT.held : EXIT.ok
  },
}

export const policyGroup: Group = {
  name: 'policy',
  summary: 'What is allowed, and why',
  commands: [check, ...bundleCommands],
}
