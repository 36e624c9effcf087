import { contract } from '@wheelhouse/contract'
import type { Command } from '../command.ts'
import { harmless } from '../io.ts'
import { serialised } from '../render.ts'

/** Why a job is where it is: each answer of policy, what would be allowed instead, and what clears a hold. */
export const why = (complete: NonNullable<Command['complete']>): Command => ({
  name: 'why',
  summary: 'Why a job was allowed, refused or held, and what can be done',
  args: ['id'],
  complete,
  async run(call) {
    const { args, voice, format, signal } = call
    const { client } = call.session()
    const id = args.one('id')
    const answer = await client.exchange('jobs', contract.jobs.jobs.listJobDecisions, {
      params: { id },
      query: {},
      signal,
    })
    const job = await client.jobs.jobs.getJob({ params: { id }, signal })
    if (format === 'json' || format === 'yaml') return voice.line(serialised(format, answer.body))
    voice.line(`${voice.paint('bold', id)} is ${job.state}.`)
    for (const { decision, rule_id: rule, reason, remediations } of answer.value) {
      voice.line(
        `${decision ?? 'No decision'}${rule ? ` by rule ${rule}` : ''}${reason ? `: ${harmless(reason)}` : ''}`,
      )
      for (const { id: remedy, title, summary } of remediations ?? [])
        voice.line(`  Instead: ${harmless(title ?? remedy ?? '')}${summary ? `. ${harmless(summary)}` : ''}`)
    }
    if (job.approval_by)
      voice.line(
        `Decided by ${harmless(job.approval_by)}${job.approval_reason ? `: ${harmless(job.approval_reason)}` : ''}`,
      )
    if (job.error_message) voice.line(`It ended with: ${harmless(job.error_message)}`)
    if (job.state === 'APPROVAL_REQUIRED') voice.say(`Decide with: wheelhouse job approve ${id}    (or reject)`)
  },
})
