import type { Command } from '../command.ts'
import { completionScript, type Shell, SHELLS } from '../completion.ts'
import { CliError, EXIT } from '../exit.ts'

export const completion: Command = {
  name: 'completion',
  summary: 'Print what a shell needs so that Tab completes commands, flags and names',
  args: ['shell'],
  examples: [
    'source <(wheelhouse completion bash)',
    'wheelhouse completion zsh > ~/.zfunc/_wheelhouse',
    'wheelhouse completion fish > ~/.config/fish/completions/wheelhouse.fish',
  ],
  complete: async () => SHELLS.map((shell) => [shell, ''] as const),
  async run({ args }) {
    const shell = SHELLS.find((each) => each === args.one('shell'))
    if (!shell) throw new CliError(EXIT.usage, `${args.one('shell')} is not known.`, `One of ${SHELLS.join(', ')}.`)
    completionScript(shell satisfies Shell)
  },
}
