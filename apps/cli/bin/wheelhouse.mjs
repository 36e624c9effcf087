#!/usr/bin/env node
// Plain JavaScript, so that every Node from 20 on can begin here; the CLI itself then runs under the Node that reads TypeScript.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { becomeNode, modernNode } from '../../../scripts/bootstrap.mjs'

const packages = fileURLToPath(new URL('../../../node_modules/commander/package.json', import.meta.url))
if (!existsSync(packages)) {
  process.stderr.write(
    'The packages of Wheelhouse are not installed yet. Run `npm ci` (or `npm start`) in its folder first.\n',
  )
  process.exit(1)
}
const main = new URL('../src/main.ts', import.meta.url)
if (modernNode() === process.execPath) await import(main)
else await becomeNode([fileURLToPath(main), ...process.argv.slice(2)])
