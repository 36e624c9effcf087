/** The exit codes that scripts may rely on (product.md, Interfaces). */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  auth: 3,
  notFound: 4,
  conflict: 5,
  denied: 6,
  held: 7,
  timeout: 8,
  interrupted: 130,
} as const

/** An end that was foreseen: what to tell, with which code to end, and what the person can do next. */
export class CliError extends Error {
  readonly exitCode: number
  readonly next: string | undefined

  constructor(exitCode: number, message: string, next?: string) {
    super(message)
    this.name = 'CliError'
    this.exitCode = exitCode
    this.next = next
  }
}
