import { contract } from '@wheelhouse/contract'
import { setTimeout as pause } from 'node:timers/promises'
import { agree } from '../ask.ts'
import type { Call, Command } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import type { Flag } from '../flags.ts'
import { flagsOf } from '../flags.ts'
import { harmless } from '../io.ts'
import { serialised } from '../render.ts'

const { bulk } = contract.native
type BulkEndpoint =
  | typeof bulk.cancelJobs
  | typeof bulk.retryJobs
  | typeof bulk.replayJobs
  | typeof bulk.retryDeadLetters
  | typeof bulk.deleteDeadLetters

const LOOK_MS = 500
const OWN: readonly Flag[] = [
  { name: 'dry-run', kind: 'switch', summary: 'only count' },
  { name: 'yes', short: 'y', kind: 'switch', summary: 'do not ask' },
  { name: 'reason', kind: 'text', value: 'text', summary: 'why; stands in the trail' },
  { name: 'all', kind: 'switch', summary: 'everything, where no filter is given' },
]

/** One act on many: it is counted, shown, confirmed with that count, and followed to its end. */
export function bulkRow(name: string, endpoint: BulkEndpoint, summary: string): Command {
  const { filter } = endpoint.body.properties
  const members = flagsOf(filter, new Set(['ids']))
  return {
    name,
    summary,
    flags: [...members.map(({ flag }) => flag), ...OWN],
    async run(call) {
      const { flags, voice, format, signal } = call
      const { client } = call.session()
      const given = members.flatMap(({ member, flag }) => {
        const value = flags.raw(flag.name)
        return value === undefined ? [] : [[member, value] as const]
      })
      if (given.length === 0 && !flags.on('all'))
        throw new CliError(EXIT.usage, 'Say which ones.', 'A filter such as --topic, or --all.')
      const ask = (how: object) =>
        client.exchange('native', endpoint as typeof bulk.cancelJobs, {
          body: { filter: Object.fromEntries(given), ...how },
          signal,
        })
      const counted = await ask({ dryRun: true })
      const { count, groups } = counted.value
      if (flags.on('dry-run')) {
        if (format === 'json' || format === 'yaml') voice.line(serialised(format, counted.body))
        else {
          for (const group of groups) voice.line(`${String(group.count).padStart(8)}  ${harmless(group.name)}`)
          voice.line(`${String(count).padStart(8)}  in all`)
        }
        return EXIT.ok
      }
      if (count === 0) {
        voice.say('Nothing matches.')
        return EXIT.ok
      }
      await agree(call, `${summary.split(',')[0]}: ${count}?`)
      const reason = flags.text('reason')
      const begun = await ask({ confirmCount: count, ...(reason === undefined ? {} : { reason }) })
      const { operation } = begun.value
      return operation ? followBulk(call, operation.id) : EXIT.ok
    },
  }
}

async function followBulk(call: Call, id: string): Promise<number> {
  const { voice, format, signal } = call
  const { client } = call.session()
  let told = ''
  while (!signal.aborted) {
    const now = await client.exchange('native', bulk.getBulk, { params: { id }, signal })
    const { state, matched, done, skipped, failed, lastError } = now.value
    const words = `${done} of ${matched} done${skipped > 0 ? `, ${skipped} had changed` : ''}${failed > 0 ? `, ${failed} failed` : ''}`
    if (words !== told) voice.say(voice.tint('dim', words))
    told = words
    if (state !== 'running') {
      if (format === 'json' || format === 'yaml') voice.line(serialised(format, now.body))
      if (lastError) voice.warn(harmless(lastError))
      return failed > 0 || state === 'stopped' ? EXIT.failed : EXIT.ok
    }
    await pause(LOOK_MS, undefined, { signal }).catch(() => undefined)
  }
  voice.warn(`It goes on. Stop it with: wheelhouse api POST /wheelhouse/api/v1/bulk/${id}/stop`)
  return EXIT.interrupted
}
