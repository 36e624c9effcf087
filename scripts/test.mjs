// `npm test`: everything that CI checks, on a machine that may have nothing but Node, npm and apt.
import { join } from 'node:path'
import { becomeNode, ensureDebianPackages, ensurePackages, root, tell } from './bootstrap.mjs'

ensurePackages()
const missing = ensureDebianPackages({
  'nats-server': 'nats-server',
  chromium: 'chromium',
  'redis-server': 'redis-server',
})
if (missing.length > 0)
  tell(`! Not installed, and this user may not install it: ${missing.join(', ')}. The tests that need it will fail.`)
await becomeNode([join(root, 'scripts', 'verify.mjs'), ...process.argv.slice(2)])
