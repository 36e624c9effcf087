export interface AnsiPart {
  text: string
  /** Class names that map the terminal's colours to tokens; empty for plain text. */
  tone: string
}

// Built from text: the escape and control characters are what marks a sequence.
const ESC = '\\u001b'
const CONTROL = '[\\u0000-\\u0008\\u000b-\\u001a\\u001c-\\u001f]'
const SEQUENCE = new RegExp(
  [
    `${ESC}\\[([0-9;]*)m`,
    `${ESC}\\[[0-9;?]*[A-HJKSTfhlnsu]`,
    `${ESC}\\][^\\u0007\\u001b]*(?:\\u0007|${ESC}\\\\)`,
    `${ESC}[()][AB0]`,
    ESC,
    CONTROL,
  ].join('|'),
  'g',
)
const SPECIAL = new RegExp(`${ESC}|${CONTROL}`)

const COLORS: Record<number, string> = {
  30: 'text-ink-3',
  31: 'text-failed-text',
  32: 'text-ok-text',
  33: 'text-warning-text',
  34: 'text-accent-text',
  35: 'text-waiting-text',
  36: 'text-accent-text',
  37: 'text-ink',
}

/** Splits a line at its colour sequences. Other sequences and control characters are dropped, so that no line can move the cursor or set a title. */
export function ansiParts(line: string): AnsiPart[] {
  if (!SPECIAL.test(line)) return [{ text: line, tone: '' }]
  const parts: AnsiPart[] = []
  let color = ''
  let strong = false
  let dim = false
  let last = 0
  const push = (text: string) => {
    if (!text) return
    parts.push({
      text,
      tone: [color || (dim ? 'text-ink-3' : ''), strong ? 'font-strong' : ''].filter(Boolean).join(' '),
    })
  }
  for (const match of line.matchAll(SEQUENCE)) {
    push(line.slice(last, match.index))
    last = match.index + match[0].length
    if (match[1] === undefined) continue
    const codes = match[1] === '' ? [0] : match[1].split(';').map(Number)
    for (let index = 0; index < codes.length; index += 1) {
      const code = codes[index] ?? 0
      if (code === 0) {
        color = ''
        strong = false
        dim = false
      } else if (code === 1) strong = true
      else if (code === 2) dim = true
      else if (code === 22) {
        strong = false
        dim = false
      } else if (code === 39) color = ''
      else if (code === 38 || code === 48) index += codes[index + 1] === 5 ? 2 : codes[index + 1] === 2 ? 4 : 0
      else color = COLORS[code >= 90 && code <= 97 ? code - 60 : code] ?? color
    }
  }
  push(line.slice(last))
  return parts.length > 0 ? parts : [{ text: '', tone: '' }]
}

/** The line without any sequence, for search and copying. */
export function plainText(line: string): string {
  return SPECIAL.test(line) ? line.replace(SEQUENCE, '') : line
}
