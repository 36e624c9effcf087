const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** An age or a duration to one unit under a day and two above: "2 s", "41 min", "19 d 4 h". Negative spans count as zero. */
export function span(ms: number): string {
  const value = Math.max(0, ms)
  if (value < 1000)
    return value < 1 ? '0 s' : value < 100 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`
  if (value < MINUTE) return `${Math.floor(value / 1000)} s`
  if (value < HOUR) return `${Math.floor(value / MINUTE)} min`
  if (value < DAY) return `${Math.floor(value / HOUR)} h`
  const days = Math.floor(value / DAY)
  const hours = Math.floor((value % DAY) / HOUR)
  return days < 30 && hours > 0 ? `${days} d ${hours} h` : `${days} d`
}

/** How long something took, to two units: "340 ms", "2 m 37 s", "1 h 04 m". */
export function took(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  if (ms < MINUTE) return `${Math.round(ms / 1000)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} m ${two(Math.floor((ms % MINUTE) / 1000))} s`
  return `${Math.floor(ms / HOUR)} h ${two(Math.floor((ms % HOUR) / MINUTE))} m`
}

/** `14:32:07`, UTC. */
export function clockTime(at: number): string {
  const date = new Date(at)
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
}

/** `2026-11-22 14:32:07 UTC`: for evidence, audit and hover. */
export function stamp(at: number): string {
  return `${new Date(at).toISOString().slice(0, 10)} ${clockTime(at)} UTC`
}

/** Milliseconds of what the surfaces send: ISO text, milliseconds, seconds or microseconds. `undefined` when there is none. */
export function instant(value: string | number | null | undefined): number | undefined {
  if (value === null || value === undefined || value === '' || value === 0) return undefined
  if (typeof value === 'string') {
    const parsed = Date.parse(value)
    return Number.isNaN(parsed) ? undefined : parsed
  }
  if (value > 1e14) return value / 1000
  return value < 1e11 ? value * 1000 : value
}

/** Bytes in binary steps with one decimal under ten: "3.1 GB", "512 MB". */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let size = value
  let unit = 0
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit += 1
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`
}

/** Bytes a second in decimal steps, as networks are measured: "9.5 MB/s". */
export function byteRate(value: number): string {
  const units = ['B/s', 'kB/s', 'MB/s', 'GB/s']
  let size = value
  let unit = 0
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000
    unit += 1
  }
  return `${size < 10 && unit > 0 ? Number(size.toFixed(1)) : Math.round(size)} ${units[unit]}`
}

/** A text as a sentence: it ends with a full stop, unless it ends with a mark of its own. Nothing stays nothing. */
export function sentence(text: string | undefined | null): string {
  const trimmed = text?.trim() ?? ''
  return trimmed === '' || /[.!?…:]$/.test(trimmed) ? trimmed : `${trimmed}.`
}

/** A count with separators. */
export function count(value: number): string {
  return value.toLocaleString('en')
}

/** "1 instance", "3 instances". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
