import { useEffect, useState, useSyncExternalStore, type RefObject } from 'react'

/** The width of an element, following it; 0 until it is known. */
export function useWidth(ref: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0)
  useEffect(() => {
    const element = ref.current
    if (!element) return
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setWidth(Math.round(entry.contentRect.width))
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [ref])
  return width
}

/** Whether a media query holds, following it. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = window.matchMedia(query)
      media.addEventListener('change', listener)
      return () => media.removeEventListener('change', listener)
    },
    () => window.matchMedia(query).matches,
  )
}

/** Below 760 px the console is a phone's. */
export function useNarrow(): boolean {
  return useMedia('(max-width: 760px)')
}

/** A pixel token such as `--row-h`, following the density. */
export function usePixelToken(name: string): number {
  return useSyncExternalStore(
    (listener) => {
      const observer = new MutationObserver(listener)
      observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-density'] })
      const coarse = window.matchMedia('(pointer: coarse)')
      coarse.addEventListener('change', listener)
      return () => {
        observer.disconnect()
        coarse.removeEventListener('change', listener)
      }
    },
    () => Number.parseFloat(getComputedStyle(document.documentElement).getPropertyValue(name)) || 0,
  )
}
