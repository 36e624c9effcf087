import { useMemo, useSyncExternalStore } from 'react'

let probe: HTMLElement | undefined
let version = 0

/** The colour a token has now (or in the named scheme), as a computed value that a canvas understands. A custom property itself reads as unresolved `light-dark()` text, so an element wears it. */
export function tokenColor(token: string, scheme: 'dark' | 'light' | '' = ''): string {
  if (!probe) {
    probe = document.createElement('i')
    probe.hidden = true
    document.body.append(probe)
  }
  probe.style.colorScheme = scheme
  probe.style.color = `var(${token})`
  return getComputedStyle(probe).color
}

let canvas: CanvasRenderingContext2D | null | undefined

/** The colour of a token as `#rrggbb`, for what understands nothing else. */
export function tokenHex(token: string, scheme: 'dark' | 'light' | '' = ''): string {
  canvas ??= document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  if (!canvas) return '#000000'
  canvas.clearRect(0, 0, 1, 1)
  canvas.fillStyle = tokenColor(token, scheme)
  canvas.fillRect(0, 0, 1, 1)
  const [red = 0, green = 0, blue = 0] = canvas.getImageData(0, 0, 1, 1).data
  return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, '0')).join('')}`
}

function subscribe(listener: () => void) {
  const changed = () => {
    version += 1
    listener()
  }
  const observer = new MutationObserver(changed)
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  const queries = [window.matchMedia('(prefers-color-scheme: dark)'), window.matchMedia('(prefers-contrast: more)')]
  for (const query of queries) query.addEventListener('change', changed)
  return () => {
    observer.disconnect()
    for (const query of queries) query.removeEventListener('change', changed)
  }
}

/** Runs `read` again whenever the theme changes, and gives what it read. `read` must be stable. */
export function useTokenColors<T>(read: () => T): T {
  const current = useSyncExternalStore(subscribe, () => version)
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the version is what says that the colours changed
  return useMemo(() => read(), [read, current])
}
