import { SURFACES } from '@wheelhouse/contract'
import type { Call, Command } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { readText } from '../io.ts'
import { serialised } from '../render.ts'

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'] as const

/** Any endpoint of the server, for what has no command of its own. */
export const api: Command = {
  name: 'api',
  summary: 'Call any path of the server and print what it answers',
  args: ['method-or-path', '[path]'],
  flags: [
    { name: 'data', short: 'd', kind: 'text', value: 'body', summary: 'the body; @file reads a file, @- stdin' },
    {
      name: 'field',
      short: 'F',
      kind: 'pairs',
      value: 'key=value',
      summary: 'a member of a JSON body, of a query when GET',
    },
    { name: 'header', short: 'H', kind: 'list', value: 'name: value', summary: 'a header; may be repeated' },
    {
      name: 'surface',
      kind: 'text',
      choices: SURFACES,
      summary: 'whose answer is meant where two surfaces share a path',
    },
    { name: 'include', short: 'i', kind: 'switch', summary: 'show status and headers, on stderr' },
  ],
  examples: [
    'wheelhouse api /api/v1/fleet/stats',
    'wheelhouse api POST /api/v1/commands -d \'{"instanceId":"web-1","command":"uptime"}\'',
    'wheelhouse api GET /api/v1/jobs -F state=FAILED',
  ],
  async run(call) {
    const { method, path } = target(call)
    const fields = call.flags.pairs('field')
    const hasFields = Object.keys(fields).length > 0
    const reads = method === 'GET' || method === 'HEAD'
    const data = await dataOf(call)
    if (data !== undefined && (hasFields || reads))
      throw new CliError(EXIT.usage, reads ? `${method} takes no body.` : '-d and -F do not go together.')
    const surface = call.flags.text('surface')
    const answer = await call.session().client.request(method, path, {
      ...(reads && hasFields ? { query: fields } : {}),
      ...(data !== undefined ? { body: data } : !reads && hasFields ? { body: fields } : {}),
      headers: { ...(surface ? { 'x-wheelhouse-surface': surface } : {}), ...headersOf(call) },
      signal: call.signal,
    })
    if (call.flags.on('include')) {
      call.voice.warn(`HTTP ${answer.status}`)
      for (const [name, value] of answer.headers) call.voice.warn(`${name}: ${value}`)
    }
    if (answer.body === null) return
    if (typeof answer.body === 'string') call.voice.write(answer.body)
    else call.voice.line(serialised(call.format === 'yaml' ? 'yaml' : 'json', answer.body))
  },
}

function target({ args, flags }: Call): { method: string; path: string } {
  const [first, second] = [args.one('method-or-path'), args.maybe('path')]
  const hasBody = flags.text('data') !== undefined || Object.keys(flags.pairs('field')).length > 0
  const method = second === undefined ? (hasBody ? 'POST' : 'GET') : first.toUpperCase()
  if (!(METHODS as readonly string[]).includes(method))
    throw new CliError(EXIT.usage, `${first} is no method.`, `One of ${METHODS.join(', ')}.`)
  const path = second ?? first
  if (/^[a-z]+:\/\//i.test(path))
    throw new CliError(EXIT.usage, 'Say a path, not a URL.', '--url names another server.')
  return { method, path: path.startsWith('/') ? path : `/${path}` }
}

async function dataOf({ flags, io }: Call): Promise<string | undefined> {
  const data = flags.text('data')
  if (data === undefined || !data.startsWith('@')) return data
  return readText(io, data.slice(1))
}

const headersOf = ({ flags }: Call): Record<string, string> =>
  Object.fromEntries(
    flags.list('header').map((header) => {
      const at = header.indexOf(':')
      if (at < 1) throw new CliError(EXIT.usage, `${header} is no header.`, 'Write it like "If-Match: 3".')
      return [header.slice(0, at).trim().toLowerCase(), header.slice(at + 1).trim()]
    }),
  )
