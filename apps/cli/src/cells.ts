// How values read in tables. `now` is a parameter, so that ages can be tested.

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** A time as seconds, milliseconds or microseconds of Unix, or as text, in milliseconds. */
export function instant(value: string | number | null | undefined): number | undefined {
  if (value === null || value === undefined || value === '' || value === 0) return undefined
  if (typeof value === 'string') return Number.isNaN(Date.parse(value)) ? undefined : Date.parse(value)
  if (value < 1e12) return value * 1000
  return value < 1e15 ? value : Math.floor(value / 1000)
}

/** A length of time: `850ms`, `12.3s`, `4m10s`, `3h5m`, `12d4h`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1).replace(/\.0$/, '')}s`
  const at = UNITS.findIndex(([, size]) => ms >= size)
  const [unit, size] = UNITS[at] ?? UNITS[3]
  const [smaller, part] = UNITS[at + 1] ?? ['', 0]
  const rest = part ? Math.floor((ms % size) / part) : 0
  return `${Math.floor(ms / size)}${unit}${rest > 0 ? `${rest}${smaller}` : ''}`
}

/** How long ago, in one unit: `12s`, `4m`, `3h`, `12d`. */
export function age(value: string | number | null | undefined, now = Date.now()): string {
  const at = instant(value)
  if (at === undefined) return '–'
  const ms = Math.max(0, now - at)
  const [unit, size] = UNITS.find(([, each]) => ms >= each) ?? UNITS[3]
  return `${Math.floor(ms / size)}${unit}`
}

/** How long until then, in one unit; `0s` once it is over. */
export const left = (value: string | number | null | undefined, now = Date.now()): string =>
  age(2 * now - (instant(value) ?? 0), now)

/** A moment in this computer's time zone. */
export function moment(value: string | number | null | undefined): string {
  const at = instant(value)
  if (at === undefined) return '–'
  const date = new Date(at)
  const two = (number: number) => String(number).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

export function bytes(value: string | number | null | undefined): string {
  const count = Number(value ?? Number.NaN)
  if (!Number.isFinite(count)) return '–'
  let size = count
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (size < 1024 || unit === 'TiB') return `${unit === 'B' ? size : size.toFixed(1)} ${unit}`
    size /= 1024
  }
  return String(count)
}

export const percent = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : `${value.toFixed(1)}%`

/** A part of a whole that comes as two counters. */
export function share(used: string | null | undefined, total: string | null | undefined): string {
  const whole = Number(total ?? 0)
  return whole > 0 ? percent((Number(used ?? 0) / whole) * 100) : '–'
}

export const pairs = (labels: Readonly<Record<string, string>> | null | undefined): string =>
  Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')

export const yesNo = (value: boolean | null | undefined): string => (value ? 'yes' : 'no')

const TONES: Readonly<Record<string, 'green' | 'yellow' | 'red' | 'blue' | 'dim'>> = {
  RUNNING: 'green',
  SUCCEEDED: 'green',
  SUCCESS: 'green',
  ALLOW: 'green',
  ACTIVE: 'green',
  PENDING: 'blue',
  SCHEDULED: 'blue',
  DISPATCHED: 'blue',
  DEPLOYING: 'blue',
  APPROVAL_REQUIRED: 'yellow',
  REQUIRE_APPROVAL: 'yellow',
  SUSPENDED: 'yellow',
  WARN: 'yellow',
  THROTTLE: 'yellow',
  FAILED: 'red',
  ERROR: 'red',
  DENIED: 'red',
  DENY: 'red',
  TIMEOUT: 'red',
  CANCELLED: 'dim',
  STOPPED: 'dim',
  UNKNOWN: 'dim',
  DEBUG: 'dim',
}

/** The colour of a word that tells a state, if it is one. */
export const toneOf = (word: string): (typeof TONES)[string] | undefined => TONES[word.toUpperCase()]
