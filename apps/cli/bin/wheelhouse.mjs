#!/usr/bin/env node
// Plain JavaScript, so that every Node from 20 on can begin here; the CLI itself then runs under the Node that reads TypeScript.
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import { becomeNode, modernNode } from '../../../scripts/bootstrap.mjs'

const packages = fileURLToPath(new URL('../../../node_modules/commander/package.json', import.meta.url))
if (!existsSync(packages)) {
  process.stderr.write(
    'The packages of Wheelhouse are not installed yet. Run `npm ci` (or `npm start`) in its folder first.\n',
  )
  process.exit(1)
}
if (modernNode() === process.execPath) {
  // Halves the time until the first word: what was read once is not compiled again.
  module.enableCompileCache?.()
  await import('../src/main.ts')
} else await becomeNode([fileURLToPath(import.meta.url), ...process.argv.slice(2)])
