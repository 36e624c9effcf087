import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { agree } from '../ask.ts'
import type { Command, Group } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { card, serialised } from '../render.ts'
import { PROJECT } from './host-program.ts'

interface Secrets {
  email: string
  password: string
  apiKey: string
}

const run = promisify(execFile)

/** On the host itself: whoever may read the data folder may have the administrator's place. */
const reset: Command = {
  name: 'reset',
  summary: 'On the host of an installation: new password and key for its first administrator',
  flags: [{ name: 'yes', short: 'y', kind: 'switch', summary: 'do not ask' }],
  examples: ['wheelhouse admin reset --data-dir ./data'],
  async run(call) {
    const { voice, format, io, targetFlags } = call
    await agree(call, 'Give the first administrator a new password and key? The present password stops working.')
    const folder = targetFlags.dataDir === undefined ? undefined : resolve(io.cwd, targetFlags.dataDir)
    const program = join(PROJECT, 'apps', 'server', 'src', 'admin-reset.ts')
    const args = [program, ...(folder === undefined ? [] : ['--data-dir', folder])]
    const done = await run(process.execPath, args, { cwd: io.cwd, env: io.env as NodeJS.ProcessEnv }).catch(
      (error: { stderr?: string; message: string }) => {
        throw new CliError(EXIT.failed, (error.stderr || error.message).trim())
      },
    )
    const secrets = JSON.parse(done.stdout) as Secrets
    if (format === 'json' || format === 'yaml') return voice.line(serialised(format, secrets))
    if (format === 'name') return voice.line(secrets.email)
    voice.line(
      card<Secrets>(
        secrets,
        { User: ({ email }) => email, Password: ({ password }) => password, 'API key': ({ apiKey }) => apiKey },
        voice,
      ),
    )
    voice.say('connection.json in the data folder holds the same.')
  },
}

export const adminGroup: Group = {
  name: 'admin',
  summary: 'For whoever runs the installation, on its host',
  commands: [reset],
}
