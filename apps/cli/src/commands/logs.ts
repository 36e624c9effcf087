import type { Log } from '@wheelhouse/contract/fleet/logs'
import { moment } from '../cells.ts'
import type { Call, Command } from '../command.ts'
import { EXIT } from '../exit.ts'
import { harmless } from '../io.ts'
import { serialised } from '../render.ts'
import { instanceIds } from './instance-ids.ts'

const TONES = { DEBUG: 'dim', INFO: 'cyan', WARN: 'yellow', ERROR: 'red' } as const

/** The last lines of a machine's log and, with -f, those that come; across a broken connection none is lost or doubled. */
export const logs: Command = {
  name: 'logs',
  aliases: ['log'],
  summary: 'The log of a machine: its last lines, and with -f the ones that come',
  args: ['id'],
  complete: instanceIds,
  flags: [
    { name: 'follow', short: 'f', kind: 'switch', summary: 'go on with new lines until Ctrl-C' },
    { name: 'tail', short: 'n', kind: 'integer', value: 'n', summary: 'how many of the last lines (50, at most 500)' },
    { name: 'level', kind: 'text', value: 'levels', summary: 'DEBUG, INFO, WARN, ERROR, some with commas between' },
    { name: 'source', kind: 'text', value: 'sources', summary: 'AGENT, EXTENSION, BUILD, APP, SYSTEM' },
    { name: 'search', kind: 'text', value: 'words', summary: 'lines with these words' },
    { name: 'from', kind: 'text', value: 'time', summary: 'lines since then (RFC 3339)' },
    { name: 'to', kind: 'text', value: 'time', summary: 'lines until then' },
  ],
  examples: ['wheelhouse instance logs my-host -f', 'wheelhouse instance logs my-host --level WARN,ERROR -n 200'],
  async run(call) {
    const { args, flags, format, voice } = call
    const instanceId = args.one('id')
    const follow = flags.on('follow')
    const read = await readLines(call, { pageSize: flags.number('tail') ?? 50, from: flags.text('from') })
    if (!follow) {
      if (format === 'json' || format === 'yaml') return voice.line(serialised(format, read.body))
      for (const line of read.lines) show(call, line)
      if (read.lines.length === 0) voice.say('No lines.')
      return
    }
    const printed = new Set<string>()
    let last = new Date().toISOString()
    const print = (line: Log): void => {
      if (printed.has(line.id)) return
      printed.add(line.id)
      if (printed.size > 5000) printed.delete([...printed][0] ?? '')
      last = line.timestamp > last ? line.timestamp : last
      show(call, line)
    }
    for (const line of read.lines) print(line)
    let missed: Promise<void> | undefined
    const stream = call.session().client.events(`/api/v1/instances/${encodeURIComponent(instanceId)}/logs/stream`, {
      surface: 'fleet',
      signal: call.signal,
      // The stream carries no ids: what came while nobody listened is read from the record.
      onOpen: () => {
        missed = readLines(call, { pageSize: 500, from: last }).then(({ lines }) => lines.forEach(print))
      },
    })
    for await (const { data } of stream) {
      await missed
      missed = undefined
      const line = JSON.parse(data) as Partial<Log>
      if (line.message !== undefined && wanted(call, line as Log)) print(line as Log)
    }
    return EXIT.interrupted
  },
}

async function readLines(call: Call, page: { pageSize: number; from: string | undefined }) {
  const { flags, args } = call
  const query = {
    pageSize: page.pageSize,
    level: flags.text('level')?.toUpperCase(),
    source: flags.text('source')?.toUpperCase(),
    search: flags.text('search'),
    from: page.from,
    to: flags.text('to'),
  }
  const { client } = call.session()
  const answer = await client.request('GET', `/api/v1/instances/${encodeURIComponent(args.one('id'))}/logs`, {
    query,
    headers: { 'x-wheelhouse-surface': 'fleet' },
    signal: call.signal,
  })
  return { body: answer.body, lines: (answer.body as { data: Log[] }).data.toReversed() }
}

/** The same choice for lines that come as the server makes for those that are there. */
function wanted({ flags }: Call, { level, source, message }: Log): boolean {
  const among = (name: string, word: string) => {
    const words = flags.text(name)?.toUpperCase().split(',')
    return words === undefined || words.includes(word)
  }
  const search = flags.text('search')?.toLowerCase()
  return (
    among('level', level) &&
    among('source', source) &&
    (search === undefined || search.split(/\s+/).every((word) => message.toLowerCase().includes(word)))
  )
}

function show({ voice, format }: Call, line: Log): void {
  if (format === 'json') return voice.line(JSON.stringify(line))
  if (format === 'yaml') return voice.line(`---\n${serialised('yaml', line)}`)
  if (format === 'name') return voice.line(line.id)
  const level = voice.paint(TONES[line.level], line.level.padEnd(5))
  voice.line(`${voice.paint('dim', moment(line.timestamp))} ${level} ${harmless(line.message)}`)
}
