import { FitAddon } from '@xterm/addon-fit'
import { Terminal, type ITheme } from '@xterm/xterm'
import { useEffect, useRef } from 'react'
import type { TerminalViewProps } from './terminal-link.ts'
import { tokenHex, useTokenColors } from './token-colors.ts'
import './terminal-canvas.css'

// The terminal is dark in both themes, so it wears the dark values of the tokens.
function readTheme(): ITheme {
  const dark = (token: string) => tokenHex(token, 'dark')
  const ground = tokenHex('--terminal')
  const hues = {
    red: dark('--failed-text'),
    green: dark('--ok-text'),
    yellow: dark('--warning-text'),
    blue: dark('--running-text'),
    magenta: dark('--waiting-text'),
    cyan: dark('--accent'),
  }
  return {
    background: ground,
    foreground: dark('--text-term'),
    cursor: dark('--accent'),
    cursorAccent: ground,
    selectionBackground: dark('--accent-line'),
    ...hues,
    black: dark('--text-off'),
    white: dark('--text-2'),
    brightBlack: dark('--text-term-2'),
    brightRed: hues.red,
    brightGreen: hues.green,
    brightYellow: hues.yellow,
    brightBlue: hues.blue,
    brightMagenta: hues.magenta,
    brightCyan: hues.cyan,
    brightWhite: dark('--text'),
  }
}

/** The emulator itself; it lives as long as its link. */
export function TerminalCanvas(props: TerminalViewProps) {
  const { link } = props
  const host = useRef<HTMLDivElement>(null)
  const terminal = useRef<Terminal>(undefined)
  const leave = useRef(props.onLeave)
  leave.current = props.onLeave
  const theme = useTokenColors(readTheme)

  useEffect(() => {
    const element = host.current
    if (!element) return
    const made = new Terminal({
      fontFamily: '"JetBrains Mono Variable", ui-monospace, monospace',
      fontSize: 11.5,
      lineHeight: 1.45,
      letterSpacing: 0,
      cursorBlink: false,
      scrollback: 5000,
      screenReaderMode: true,
      theme: readTheme(),
    })
    const fit = new FitAddon()
    made.loadAddon(fit)
    made.open(element)
    fit.fit()
    let escapedAt = -Infinity
    made.attachCustomKeyEventHandler((event) => {
      if (event.type !== 'keydown' || event.key !== 'Escape') return true
      if (event.timeStamp - escapedAt < 400) {
        made.blur()
        leave.current?.()
        return false
      }
      escapedAt = event.timeStamp
      return true
    })
    const close = link.open((data) => made.write(data), made.cols, made.rows)
    const typed = made.onData(link.send)
    const sized = made.onResize(({ cols, rows }) => link.resize(cols, rows))
    const observer = new ResizeObserver(() => fit.fit())
    observer.observe(element)
    terminal.current = made
    made.focus()
    return () => {
      terminal.current = undefined
      observer.disconnect()
      typed.dispose()
      sized.dispose()
      close()
      made.dispose()
    }
  }, [link])

  useEffect(() => {
    if (terminal.current) terminal.current.options.theme = theme
  }, [theme])

  return <div ref={host} className="wh-terminal absolute inset-0" aria-label={props.label} role="group" />
}
