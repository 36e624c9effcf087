// `npm start`: installs what is missing, builds what changed, then is the server. Flags are the server's (docs/configuration.md).
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { becomeNode, ensureDebianPackages, ensurePackages, fail, modernNode, root } from './bootstrap.mjs'

ensurePackages()
if (modernNode() !== process.execPath) await becomeNode([join(root, 'scripts', 'start.mjs'), ...process.argv.slice(2)])

const becomeServer = () => becomeNode([join(root, 'apps', 'server', 'src', 'main.ts'), ...process.argv.slice(2)])
if (process.argv[2] === 'config') await becomeServer()

if (needsNats()) {
  const missing = ensureDebianPackages({ 'nats-server': 'nats-server' })
  if (missing.length > 0)
    fail(
      'nats-server is not installed, and this user may not install it. Either\n' +
        '  sudo apt-get install nats-server      (Debian, Ubuntu)\n' +
        '  brew install nats-server              (macOS)\n' +
        'or put the binary from https://nats.io/download on the path, or set NATS_URL to a running server.',
    )
}

const { buildChanged } = await import('./build.ts')
if (!(await buildChanged())) fail('The build failed; see the messages above.')
await becomeServer()

/** Whether the server will start a nats-server of its own; it reads its configuration properly by itself later. */
function needsNats() {
  if (
    process.env.NATS_URL ||
    process.env.WHEELHOUSE_NATS_URL ||
    process.argv.some((word) => word.startsWith('--nats-url'))
  )
    return false
  const file = process.env.WHEELHOUSE_CONFIG ?? 'wheelhouse.yaml'
  return !(existsSync(file) && /^natsUrl:/m.test(readFileSync(file, 'utf8')))
}
