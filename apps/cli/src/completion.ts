import complete, { script } from '@bomb.sh/tab'
import addCommander from '@bomb.sh/tab/commander'
import type { Command as Commander } from 'commander'
import type { Command, Group } from './command.ts'
import type { Io } from './io.ts'
import { openSession } from './session.ts'

export const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const
export type Shell = (typeof SHELLS)[number]

/** Prints what a shell must know so that Tab asks us. */
export const completionScript = (shell: Shell): void => script(shell, 'wheelhouse', 'wheelhouse')

/** How long Tab may wait for names from the server. */
const NAMES_WITHIN_MS = 1500

interface Tree {
  topLevel: readonly Command[]
  groups: readonly Group[]
}

/** Answers the shell: commands and flags from the command tree, names of things from the server where it answers in time. */
export async function answerCompletion(
  commander: Commander,
  words: readonly string[],
  tree: Tree,
  io: Io,
): Promise<void> {
  addCommander(commander)
  const found = commandAt(words, tree)
  if (found?.command.complete && !words.at(-1)?.startsWith('-')) {
    const names = await namesOf(found.command, io)
    const argument = [...(complete.commands.get(found.path)?.arguments.values() ?? [])][0]
    if (argument)
      argument.handler = (offer) => {
        for (const [value, description] of names) offer(value, description)
      }
  }
  complete.parse([...words])
}

function commandAt(
  words: readonly string[],
  { topLevel, groups }: Tree,
): { path: string; command: Command } | undefined {
  const [first, second] = words.filter((word) => word !== '' && !word.startsWith('-'))
  const group = groups.find(({ name, aliases }) => name === first || aliases?.includes(first ?? ''))
  if (!group) {
    const command = topLevel.find(({ name }) => name === first)
    return command && { path: command.name, command }
  }
  const command = group.commands.find(({ name, aliases }) => name === second || aliases?.includes(second ?? ''))
  return command && { path: `${group.name} ${command.name}`, command }
}

/** No names is an answer too: a shell must not hear of errors here. */
async function namesOf(command: Command, io: Io): Promise<readonly (readonly [string, string])[]> {
  try {
    const late = new Promise<never>((_, reject) => setTimeout(reject, NAMES_WITHIN_MS, new Error('late')).unref())
    return await Promise.race([command.complete?.(openSession(io, {})) ?? [], late])
  } catch {
    return []
  }
}
