import type { ReactNode } from 'react'
import { cx } from './cx.ts'

const APPLE = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.platform)

/** A key as it is printed on the keyboard at hand: `mod` is ⌘ there and Ctrl elsewhere. */
export function keyName(key: string): string {
  if (key === 'mod') return APPLE ? '⌘' : 'Ctrl'
  if (key === 'shift') return '⇧'
  if (key === 'enter') return '⏎'
  if (key === 'escape') return 'esc'
  if (key === 'up') return '↑'
  if (key === 'down') return '↓'
  return key
}

/** The words of a combination such as `mod+k` or a sequence such as `g h`. */
export function keyWords(combination: string): string[] {
  return combination.split(' ').map((stroke) => {
    const keys = stroke === '+' ? ['+'] : stroke.split('+').map(keyName)
    // Beside a word a letter is written as it is on the key: "Ctrl K", but "⌘K" and "j".
    if (keys.some((key) => key.length > 1 && key !== 'esc'))
      return keys.map((key) => (key.length === 1 ? key.toUpperCase() : key)).join(' ')
    return keys.length > 1 ? keys.join('').toUpperCase() : keys.join('')
  })
}

/** One key. */
export function Kbd(props: { children: ReactNode; onAccent?: boolean }) {
  return (
    <kbd
      className={cx(
        'inline-grid h-[18px] min-w-[18px] place-items-center rounded-[4px] px-1 text-s1 leading-none font-[460]',
        props.onAccent
          ? 'bg-[color-mix(in_oklab,var(--accent-ink)_14%,transparent)] text-inherit'
          : 'bg-surface-2 text-ink-2 inset-ring inset-ring-line-2',
      )}
    >
      {props.children}
    </kbd>
  )
}

/** A combination or sequence, one box a stroke. */
export function Keys(props: { keys: string }) {
  return (
    <span className="inline-flex gap-1 pointer-coarse:hidden">
      {keyWords(props.keys).map((word) => (
        <Kbd key={word}>{word}</Kbd>
      ))}
    </span>
  )
}
