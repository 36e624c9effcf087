import { join, resolve } from 'node:path'
import type { Command } from '../command.ts'
import { PROJECT, runProgram } from './host-program.ts'

/** The server's own answer: flags, environment and file as a start in this folder would read them. */
export const config: Command = {
  name: 'config',
  summary: 'Print the configuration that a server started here would have, with where each value comes from',
  run({ io, signal, targetFlags }) {
    const flags = targetFlags.dataDir === undefined ? [] : ['--data-dir', resolve(io.cwd, targetFlags.dataDir)]
    return runProgram([join(PROJECT, 'apps', 'server', 'src', 'main.ts'), 'config', ...flags], signal, io.cwd)
  },
}
