import { contract } from '@wheelhouse/contract'
import { readText } from '../io.ts'
import { age, moment } from '../cells.ts'
import type { Call, Command } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { durationMs } from '../flags.ts'
import { harmless } from '../io.ts'
import { serialised } from '../render.ts'
import { row } from '../row.ts'

const { policyBundles } = contract.jobs
const { policy: native } = contract.native

const bundleIds: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.jobs.policyBundles.listPolicyBundles({})
  return items.map(({ id, enabled }) => [id, enabled ? 'in force' : 'not in force'] as const)
}

/** Bundle ids hold a `/`, which a path writes as `~`. */
const inPath = (id: string): string => id.replaceAll('/', '~')

const bundles = row('jobs', policyBundles.listPolicyBundles, {
  name: 'list',
  aliases: ['bundles', 'ls'],
  summary: 'The policy bundles, and which are in force',
  items: ({ items }) => items,
  columns: {
    ID: ({ id }) => id,
    'IN FORCE': ({ enabled }) => (enabled ? 'yes' : 'no'),
    FROM: ({ source }) => source,
    BY: ({ author }) => author,
    CHANGED: ({ updated_at: at }) => age(at),
    MESSAGE: ({ message }) => message,
  },
  id: ({ id }) => id,
})

const rules = row('jobs', policyBundles.listPolicyRules, {
  name: 'rules',
  summary: 'Every rule in the order of evaluation, with the bundle that brings it',
  hide: ['include_disabled'],
  flags: [{ name: 'all', kind: 'switch', summary: 'also those of bundles that are not in force' }],
  prepare: ({ query }, { flags }) => {
    if (flags.on('all')) query['include_disabled'] = 'true'
  },
  items: ({ items }) => items,
  columns: {
    RULE: ({ id }) => String(id ?? ''),
    SAYS: ({ decision }) => String(decision ?? 'allow'),
    BUNDLE: ({ source }) => String((source as { fragment_id?: string } | undefined)?.fragment_id ?? ''),
    WHEN: ({ match }) => JSON.stringify(match ?? {}).slice(0, 90),
    REASON: ({ reason }) => String(reason ?? ''),
  },
})

const get: Command = {
  name: 'get',
  aliases: ['show'],
  summary: 'The text of a bundle',
  args: ['id'],
  complete: bundleIds,
  async run({ args, session, voice, format, signal }) {
    const answer = await session().client.exchange('jobs', policyBundles.getPolicyBundle, {
      params: { id: inPath(args.one('id')) },
      signal,
    })
    if (format === 'json' || format === 'yaml') voice.line(serialised(format, answer.body))
    else voice.write(answer.value.content.endsWith('\n') ? answer.value.content : `${answer.value.content}\n`)
  },
}

const FILE = {
  name: 'file',
  short: 'f',
  kind: 'text',
  value: 'path',
  summary: 'the policy as YAML or JSON (- reads stdin)',
  required: true,
} as const

const textOf = ({ io, flags }: Call): Promise<string> => readText(io, flags.text('file') ?? '-')

const put: Command = {
  name: 'put',
  summary: 'Store a bundle under secops/; a new one is not in force before it is published',
  args: ['id'],
  complete: bundleIds,
  flags: [FILE, { name: 'message', short: 'm', kind: 'text', value: 'text', summary: 'why' }],
  examples: [
    'wheelhouse policy put secops/guards -f guards.yaml',
    'wheelhouse policy what-if secops/guards -f guards.yaml',
  ],
  async run(call) {
    const { args, flags, voice, signal } = call
    const message = flags.text('message')
    const id = args.one('id')
    await call.session().client.jobs.policyBundles.putPolicyBundle({
      params: { id: inPath(id) },
      body: { content: await textOf(call), ...(message === undefined ? {} : { message }) },
      signal,
    })
    voice.say(`Stored ${id}. Put it in force: wheelhouse policy publish ${id}`)
  },
}

const publish: Command = {
  name: 'publish',
  summary: 'Put bundles in force (those named, or all under secops/), at once',
  args: ['[ids...]'],
  complete: bundleIds,
  flags: [{ name: 'message', short: 'm', kind: 'text', value: 'text', summary: 'why' }],
  async run({ args, flags, voice, format, session, signal }) {
    const ids = args.rest('ids')
    const message = flags.text('message')
    const answer = await session().client.exchange('jobs', policyBundles.publishPolicy, {
      body: { ...(ids.length > 0 ? { bundle_ids: ids } : {}), ...(message === undefined ? {} : { message }) },
      signal,
    })
    if (format === 'json' || format === 'yaml') return voice.line(serialised(format, answer.body))
    voice.line(answer.value.published.join('\n'))
    voice.say(`In force. Back: wheelhouse policy rollback ${answer.value.snapshot_before}`)
  },
}

const rollback = row('jobs', policyBundles.rollbackPolicy, {
  name: 'rollback',
  args: ['snapshot_id'],
  summary: 'Put the whole set of bundles back to a snapshot, at once',
  hide: ['author', 'note'],
  confirm: ({ args }) => `Put every bundle back to ${args.one('snapshot_id')}?`,
  said: ({ rollback_to: to, snapshot_before: before }) =>
    `Back at ${to}. As it was: wheelhouse policy rollback ${before}`,
})

const snapshots = row('jobs', policyBundles.listBundleSnapshots, {
  name: 'snapshots',
  items: ({ items }) => items,
  columns: { ID: ({ id }) => id, MADE: ({ created_at: at }) => moment(at), NOTE: ({ note }) => note },
  id: ({ id }) => id,
})

const history = row('jobs', policyBundles.listPolicyAudit, {
  name: 'history',
  summary: 'Who changed policy, newest first',
  hide: ['include_edits'],
  flags: [{ name: 'all', kind: 'switch', summary: 'also edits that put nothing in force' }],
  prepare: ({ query }, { flags }) => {
    if (flags.on('all')) query['include_edits'] = 'true'
  },
  items: ({ items }) => items,
  columns: {
    WHEN: ({ created_at: at }) => moment(at),
    WHO: ({ actor_id: who }) => who,
    DID: ({ action }) => action,
    BUNDLES: ({ bundle_ids: ids }) => ids?.join(', '),
    MESSAGE: ({ message }) => message,
  },
})

const whatIf: Command = {
  name: 'what-if',
  summary: 'Replay what was decided under a draft: what would be denied, held, allowed instead',
  args: ['id'],
  complete: bundleIds,
  flags: [
    { ...FILE, required: false, summary: 'the draft (what is stored under the id)' },
    { name: 'since', kind: 'text', value: 'time', summary: 'how far back (7d)' },
    { name: 'topic', kind: 'text', value: 'glob', summary: 'only these topics' },
    {
      name: 'default',
      kind: 'text',
      value: 'decision',
      choices: ['allow', 'deny', 'require_approval'],
      summary: 'what no rule matches',
    },
    { name: 'strict', kind: 'switch', summary: 'exit 1 when anything would be newly denied or held' },
  ],
  examples: ['wheelhouse policy what-if secops/guards -f guards.yaml --since 30d'],
  async run(call) {
    const { args, flags, voice, format, signal } = call
    const since = durationMs(flags.text('since') ?? '7d')
    const topic = flags.text('topic')
    const decision = flags.text('default') as 'allow' | 'deny' | 'require_approval' | undefined
    const id = args.one('id')
    const content = flags.text('file') === undefined ? undefined : await textOf(call)
    const answer = await call.session().client.exchange('native', native.policyWhatIf, {
      body: {
        draft: {
          bundles: [{ id, ...(content === undefined ? {} : { content }) }],
          ...(decision === undefined ? {} : { defaultDecision: decision }),
        },
        from: new Date(Date.now() - since).toISOString(),
        ...(topic === undefined ? {} : { topic }),
      },
      signal,
    })
    const { newly, replayed, unchanged, transitions, complete, remaining, tookMs, warnings } = answer.value
    if (format === 'json' || format === 'yaml') voice.line(serialised(format, answer.body))
    else {
      for (const [what, many] of Object.entries(newly))
        if (many > 0) voice.line(`${String(many).padStart(9)}  newly ${what}`)
      voice.line(`${String(unchanged).padStart(9)}  as they were`)
      for (const { from, to, count, examples } of transitions.filter((each) => each.from !== each.to)) {
        voice.line(`${from} → ${to}: ${count}`)
        for (const example of examples.slice(0, 5))
          voice.line(
            harmless(
              `  ${example.topic} by ${example.principal}: ${example.after.rule || 'no rule'} ${example.after.reason}`.trimEnd(),
            ),
          )
      }
    }
    for (const warning of warnings) voice.warn(warning)
    voice.say(`${replayed} decisions replayed in ${tookMs} ms; nothing was changed.`)
    if (!complete)
      throw new CliError(EXIT.timeout, `The time was over with ${remaining} to go.`, 'Choose a shorter --since.')
    return flags.on('strict') && newly.denied + newly.held > 0 ? EXIT.failed : EXIT.ok
  },
}

export const bundleCommands: readonly Command[] = [
  bundles,
  get,
  put,
  publish,
  rollback,
  snapshots,
  rules,
  history,
  whatIf,
]
