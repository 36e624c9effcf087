import { randomBytes } from 'node:crypto'

/** What of a request makes a shell script, wherever it is to run. */
export interface Scriptable {
  command?: string
  args?: readonly string[]
  shell?: boolean
  script?: string
  interpreter?: string
  cwd?: string
  env?: Readonly<Record<string, string>>
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** One POSIX shell script that does what the request says, whatever its arguments hold. */
export function shellScript({
  command = '',
  args = [],
  shell,
  script,
  interpreter = '/bin/sh',
  cwd,
  env = {},
}: Scriptable): string {
  const lines = Object.entries(env)
    .filter(([name]) => /^[A-Za-z_]\w*$/.test(name))
    .map(([name, value]) => `export ${name}=${quote(value)}`)
  if (cwd !== undefined) lines.push(`cd ${quote(cwd)} || exit 1`)
  const rest = args.map((each) => ` ${quote(each)}`).join('')
  if (script === undefined) lines.push(shell ? `sh -c ${quote(command)} sh${rest}` : `${quote(command)}${rest}`)
  else {
    // In base64, so that no line of the script can end the document early.
    const encoded = Buffer.from(script).toString('base64')
    lines.push(
      `wh_script=$(mktemp) || exit 1`,
      `trap 'rm -f "$wh_script"' EXIT`,
      `printf %s ${quote(encoded)} | base64 -d > "$wh_script"`,
    )
    lines.push(`${interpreter} "$wh_script"${rest} < /dev/null`)
  }
  return `${lines.join('\n')}\n`
}

/**
 * What to type after the preparation: the script as a document in base64, then its execution between the marks. Lines stay far below
 * the 4,095 characters that a terminal takes in its line mode; pieces stay below a base agent's frame.
 */
export function* typedLines(script: string, mark: string): Generator<string> {
  const lines =
    Buffer.from(script)
      .toString('base64')
      .match(/.{1,1000}/g) ?? []
  yield `wh_f=$(mktemp) && base64 -d > "$wh_f" <<'${mark}'\n`
  for (let from = 0; from < lines.length; from += 20) yield `${lines.slice(from, from + 20).join('\n')}\n`
  // The mark is written in two halves, so that an echo of this line is not taken for it.
  const [head, tail] = [mark.slice(0, 8), mark.slice(8)]
  yield `${mark}\nprintf '%s%s\\n' ${head} '${tail}:begin'; sh "$wh_f" < /dev/null; printf '%s%s%s\\n' ${head} '${tail}:end:' "$?"; rm -f "$wh_f"; exit\n`
}

export interface ScreenEvents {
  output(data: Buffer): void
  ended(exitCode: number): void
}

/** Longest text that may still turn out to be the end mark or a control sequence. */
const HELD_BACK = 128

/** Reads a terminal on which `preparation` and `typedLines` were typed: finds the marks and hands out what stands between them. */
export class ScreenReader {
  readonly mark = `wh${randomBytes(12).toString('hex')}`
  /** Switches the echo, the prompts and the translation of line ends off, then says so. */
  readonly preparation: string
  readonly prepared: Promise<void>
  readonly #events: ScreenEvents
  readonly #ready = Promise.withResolvers<void>()
  #text = ''
  #state: 'preparing' | 'waiting' | 'between' | 'ended' = 'preparing'

  constructor(events: ScreenEvents) {
    this.#events = events
    this.prepared = this.#ready.promise
    const [head, tail] = [this.mark.slice(0, 8), this.mark.slice(8)]
    this.preparation = ` PS1= PS2=; stty -echo -onlcr; printf '%s%s\\n' ${head} '${tail}:ready'\n`
  }

  read(data: Buffer): void {
    // Bytes pass through as latin1, so that pieces may cut characters.
    this.#text += data.toString('latin1')
    if (this.#state === 'preparing' && this.#skipPast(`${this.mark}:ready\n`, `${this.mark}:ready\r\n`)) {
      this.#state = 'waiting'
      this.#ready.resolve()
    }
    if (this.#state === 'waiting' && this.#skipPast(`${this.mark}:begin\n`, `${this.mark}:begin\r\n`))
      this.#state = 'between'
    if (this.#state === 'between') this.#readOutput()
  }

  #readOutput(): void {
    const end = this.#text.indexOf(`${this.mark}:end:`)
    if (end < 0) {
      const sure = Math.max(0, this.#text.length - HELD_BACK)
      this.#emit(this.#text.slice(0, sure))
      this.#text = this.#text.slice(sure)
      return
    }
    const [, code] = /:end:(\d+)\r?\n/.exec(this.#text.slice(end)) ?? []
    if (code === undefined) return
    this.#emit(this.#text.slice(0, end))
    this.#state = 'ended'
    this.#events.ended(Number(code))
  }

  #emit(text: string): void {
    const plain = text.replace(CONTROL_SEQUENCE, '').replaceAll('\r\n', '\n')
    if (plain !== '') this.#events.output(Buffer.from(plain, 'latin1'))
  }

  #skipPast(...marks: string[]): boolean {
    for (const mark of marks) {
      const at = this.#text.indexOf(mark)
      if (at < 0) continue
      this.#text = this.#text.slice(at + mark.length)
      return true
    }
    return false
  }
}

// Colours, cursor movements and titles, which programs write because they see a terminal.
const ESC = String.fromCharCode(27)
const BEL = String.fromCharCode(7)
const CONTROL_SEQUENCE = new RegExp(
  `${ESC}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\)|[@-Z\\\\-_])`,
  'g',
)
