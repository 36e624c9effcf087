import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { EXIT } from '../exit.ts'

/** The folder of this clone. */
export const PROJECT = fileURLToPath(new URL('../../../..', import.meta.url))

/** Runs a program of this project under our Node with our streams; its end is ours. Ctrl-C reaches it from the terminal, or through us. */
export function runProgram(args: readonly string[], signal: AbortSignal, cwd?: string): Promise<number> {
  const child = spawn(process.execPath, [...args], { stdio: 'inherit', ...(cwd === undefined ? {} : { cwd }) })
  const forward = (name: NodeJS.Signals) => () => void child.kill(name)
  const [term, hup] = [forward('SIGTERM'), forward('SIGHUP')]
  process.on('SIGTERM', term).on('SIGHUP', hup)
  signal.addEventListener('abort', forward('SIGINT'), { once: true })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, ended) => {
      process.off('SIGTERM', term).off('SIGHUP', hup)
      resolve(ended ? EXIT.interrupted : (code ?? EXIT.failed))
    })
  })
}
