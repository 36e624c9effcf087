import { contract } from '@wheelhouse/contract'
import type { Exec } from '@wheelhouse/contract/fleet/commands'
import type { Call, Command } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { durationMs } from '../flags.ts'
import { serialised } from '../render.ts'
import { endCode, follow, type Followed, tellEnd, tellHeld } from './follow.ts'
import { instanceIds } from './instance-ids.ts'

/** What an aborted look at a command may take to end it. */
const CANCEL_WITHIN_MS = 5000

/**
 * Runs a command on a machine as if it ran here: its streams are ours, its exit code is ours. One word is a line for the machine's
 * shell; several are a program and its arguments.
 */
export const exec: Command = {
  name: 'exec',
  summary: 'Run a command on a machine; its output is shown live, its exit code is this one',
  args: ['id', 'command...'],
  passThrough: true,
  complete: instanceIds,
  flags: [
    { name: 'timeout', kind: 'text', value: 'time', summary: 'how long it may take, 1s to 5m (30s)' },
    { name: 'env', short: 'e', kind: 'pairs', value: 'key=value', summary: 'its environment; may be repeated' },
    { name: 'workdir', kind: 'text', value: 'folder', summary: 'the folder that it starts in' },
    { name: 'wait', kind: 'switch', summary: 'when it must be approved, wait for that and go on' },
    { name: 'detach', kind: 'switch', summary: 'print the job’s id and let it run' },
    { name: 'dry-run', kind: 'switch', summary: 'ask policy what it would say, and run nothing' },
  ],
  examples: [
    'wheelhouse instance exec my-host uptime',
    'wheelhouse instance exec my-host -- df -h /var',
    "wheelhouse instance exec my-host 'journalctl -n 20 | grep -i error'",
    'wheelhouse instance exec --wait prod-db-1 -- systemctl restart postgresql',
  ],
  async run(call) {
    const { flags, voice, format } = call
    const body = request(call)
    if (flags.on('dry-run')) return preview(call, body)
    const { client } = call.session()
    const { body: reply } = await client.exchange('fleet', contract.fleet.commands.executeCommand, {
      query: { wait: 0 },
      body,
      signal: call.signal,
    })
    const started = reply as Exec
    const jobId = started.jobId ?? ''
    if (flags.on('detach')) {
      voice.line(format === 'json' || format === 'yaml' ? serialised(format, started) : jobId)
      if (started.approvalRequired) tellHeld(voice, jobId, {})
      return started.approvalRequired ? EXIT.held : EXIT.ok
    }
    const asData = format === 'json' || format === 'yaml'
    const seen = await follow(call, jobId, {
      showOutput: !asData,
      stopWhenHeld: !flags.on('wait'),
      onInterrupt: 'cancels it',
    })
    if (seen.kind === 'interrupted') return stop(call, jobId)
    const ended = await client.exchange('fleet', contract.fleet.commands.getCommand, { params: { id: started.id } })
    if (asData) voice.line(serialised(format, ended.body))
    return codeOf(call, jobId, seen, ended.value)
  },
}

function request({ args, flags }: Call) {
  const words = args.rest('command')
  const [command = '', ...rest] = words[0] === '--' ? words.slice(1) : words
  if (words[0] !== '--' && command.startsWith('-'))
    throw new CliError(
      EXIT.usage,
      `${command} stands behind the machine’s name.`,
      'Flags go before it; what runs there goes behind --',
    )
  if (command === '')
    throw new CliError(EXIT.usage, 'Which command?', 'wheelhouse instance exec HOST -- COMMAND ARGUMENTS')
  const timeout = flags.text('timeout')
  const workingDir = flags.text('workdir')
  const env = flags.pairs('env')
  return {
    instanceId: args.one('id'),
    command,
    timeoutMs: timeout === undefined ? 30_000 : durationMs(timeout),
    ...(rest.length > 0 ? { args: rest } : {}),
    env,
    ...(workingDir === undefined ? {} : { workingDir }),
  }
}

function codeOf(call: Call, jobId: string, seen: Followed, ran: Exec): number {
  const { voice } = call
  if (seen.kind === 'held') {
    tellHeld(voice, jobId, seen.state)
    voice.warn(voice.tint('dim', `  Then: wheelhouse job watch ${jobId}`))
    return EXIT.held
  }
  if (seen.kind !== 'ended') return EXIT.timeout
  // A program that ran has the last word, whatever it ended with.
  if (ran.exitCode !== null) return ran.exitCode
  tellEnd(call, jobId, seen.end)
  return seen.end.state === 'SUCCEEDED' ? EXIT.failed : endCode(seen.end)
}

/** Ctrl-C ends the command there too, as it would here. */
async function stop(call: Call, jobId: string): Promise<number> {
  const { voice } = call
  await call
    .session()
    .client.jobs.jobs.cancelJob({ params: { id: jobId }, signal: AbortSignal.timeout(CANCEL_WITHIN_MS) })
    .then(
      () => voice.say('Cancelled there too.'),
      () => voice.warn(`It goes on there: you may not cancel it, or the server does not answer. Its job is ${jobId}.`),
    )
  return EXIT.interrupted
}

/** What policy would say of exactly this command, on the facts that it would see. */
async function preview(call: Call, { timeoutMs: _timeoutMs, env: _env, ...input }: ReturnType<typeof request>) {
  const { voice, format, signal } = call
  const { body, value } = await call.session().client.exchange('native', contract.native.verbs.previewVerb, {
    params: { name: 'command:execute' },
    body: { input },
    signal,
  })
  if (format === 'json' || format === 'yaml') voice.line(serialised(format, body))
  else voice.line(`${value.decision}: ${value.why}`)
  return value.decision === 'DENY' ? EXIT.denied : value.decision === 'REQUIRE_APPROVAL' ? EXIT.held : EXIT.ok
}
