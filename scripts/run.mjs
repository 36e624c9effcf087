// `node scripts/run.mjs FILE args`: runs one TypeScript file of the project under the Node that can.
import { resolve } from 'node:path'
import { becomeNode, ensurePackages, fail } from './bootstrap.mjs'

const [file, ...args] = process.argv.slice(2)
if (!file) fail('Which file? node scripts/run.mjs FILE [arguments]')
ensurePackages()
await becomeNode([resolve(file), ...args])
