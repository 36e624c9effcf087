import { runCli } from './cli.ts'
import { EXIT } from './exit.ts'

const interrupted = new AbortController()
process.on('SIGINT', () => {
  // Whoever asks twice wants out.
  if (interrupted.signal.aborted) process.exit(EXIT.interrupted)
  interrupted.abort()
})
// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
)

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
})
