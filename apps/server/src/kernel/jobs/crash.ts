/** The named points at which a crash test ends the process, and only where the environment asks for it. */
export type CrashPoint =
  | 'submit:before-commit'
  | 'submit:after-commit'
  | 'claim:after-commit'
  | 'dispatch:after-publish'
  | 'verb:before-perform'
  | 'verb:after-perform'
  | 'end:before-commit'
  | 'end:after-commit'
  | 'approve:after-commit'

const wanted = process.env['WHEELHOUSE_CRASH_POINT']

/** Ends this process as `kill -9` does, when WHEELHOUSE_CRASH_POINT names this point. For docs/reliability.md's tests. */
export function crashPoint(name: CrashPoint): void {
  if (wanted === name) process.kill(process.pid, 'SIGKILL')
}
