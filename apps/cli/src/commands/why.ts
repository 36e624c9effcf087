import { contract } from '@wheelhouse/contract'
import { age } from '../cells.ts'
import type { Command } from '../command.ts'
import { harmless } from '../io.ts'
import { serialised } from '../render.ts'

/** Why a job or a run is where it is: what it waits for, since when, and what clears it; of a job also each answer of policy. */
export const whyOf = (kind: 'job' | 'run', complete: NonNullable<Command['complete']>): Command => ({
  name: 'why',
  summary: `Why a ${kind} is where it is: what it waits for, since when, what clears it`,
  args: ['id'],
  complete,
  async run(call) {
    const { args, voice, format, signal } = call
    const { client } = call.session()
    const id = args.one('id')
    const asked = { params: { id }, signal }
    const answer =
      kind === 'job'
        ? await client.exchange('native', contract.native.why.whyJob, asked)
        : await client.exchange('native', contract.native.workflows.whyRun, asked)
    if (format === 'json' || format === 'yaml') return voice.line(serialised(format, answer.body))
    const { summary, since, waitsFor, ended } = answer.value
    voice.line(`${voice.paint('bold', id)} ${harmless(summary)}${ended ? '' : ` (for ${age(since)})`}`)
    for (const each of waitsFor) {
      // What waits for one thing alone has said so already.
      if (waitsFor.length > 1 || !summary.includes(each.text.replace(/\.$/, '')))
        voice.line(`  ${harmless(each.text)}${each.since ? ` Since ${age(each.since)}.` : ''}`)
      if (each.clears) voice.line(voice.tint('dim', `    ${harmless(each.clears)}`))
    }
    if (kind === 'run') return
    const decisions = await client.jobs.jobs.listJobDecisions({ params: { id }, query: {}, signal })
    for (const { decision, rule_id: rule, reason, remediations } of decisions) {
      voice.line(
        `${decision ?? 'No decision'}${rule ? ` by rule ${rule}` : ''}${reason ? `: ${harmless(reason)}` : ''}`,
      )
      for (const { id: remedy, title, summary: about } of remediations ?? [])
        voice.line(`  Instead: ${harmless(title ?? remedy ?? '')}${about ? `. ${harmless(about)}` : ''}`)
    }
  },
})
