/** A command line as `match.command` sees it. */
export interface CommandForms {
  /** The whole line with its spaces squeezed, and where it differs the same with quotes looked through. */
  readonly lines: readonly string[]
  /** Each simple command of the line, without its wrappers (`sudo`, `env`, `sh -c`, …) and without its folder. */
  readonly commands: readonly string[]
}

export const NO_COMMAND: CommandForms = { lines: [], commands: [] }

/**
 * Reads the command line that a job would run; a list of arguments is joined by spaces. Quotes, backslashes and `$IFS`
 * are looked through and commands are parted at `;`, `&`, `|`, brackets and line breaks, so that
 * `sudo sh -c "/bin/r\m -rf '/'"` is seen as `rm -rf /`.
 *
 * This catches accidents and careless agents. It is not a sandbox: a command can always be hidden from patterns
 * (variables, encodings, a script fetched from elsewhere); who must not run commands should not hold the permission.
 */
export function commandForms(command: unknown): CommandForms {
  const line = Array.isArray(command) ? command.filter((part) => typeof part === 'string').join(' ') : command
  if (typeof line !== 'string' || line.trim() === '') return NO_COMMAND
  const squeezed = squeeze(line)
  const plain = squeeze(
    line
      .replace(/\$\{?IFS\}?/g, ' ')
      .replace(/\\([^\n])/g, '$1')
      .replace(/['"]/g, ''),
  )
  const commands = plain
    .split(/[;&|(){}`\n]/)
    .map(unwrap)
    .filter((part) => part !== '')
  return { lines: plain === squeezed ? [squeezed] : [squeezed, plain], commands }
}

/** Line breaks stay, since they part commands as `;` does. */
function squeeze(line: string): string {
  return line
    .replace(/\\\r?\n/g, ' ')
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n[ \n]*/g, '\n')
    .trim()
}

const FOLDER = /^\S*\//
const WRAPPERS = [
  /^\w+=\S* /,
  /^(?:ba|da|z|k|a)?sh (?:-o \S+ |-\S+ )*-\w*c /,
  /^(?:sudo|doas|env)(?: -[ughpCDRTUrt] \S+| -\S+| \w+=\S*)* /,
  /^(?:nohup|exec|time|command|builtin|nice|ionice|setsid|stdbuf|eval|xargs|busybox)(?: -\w \d+| -\S+)* /,
  /^timeout(?: -[ks] \S+| -\S+)*(?: [\d.]+[smhd]?) /,
  /^(?:then|do|else|elif|if|while|until|!) /,
]

function unwrap(part: string): string {
  let command = part.trim()
  for (;;) {
    const stripped = command.replace(FOLDER, '')
    const inner = WRAPPERS.reduce((text, wrapper) => text.replace(wrapper, ''), stripped)
    if (inner === stripped) return stripped
    command = inner.trim()
  }
}
