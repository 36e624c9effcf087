// Fails when the first load of any page of the built console is over its budget of compressed JavaScript (product.md: 250 KB).
//   node apps/console/bundle-budget.ts      after `vite build`
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const BUDGET_BYTES = 250 * 1000
const dist = fileURLToPath(new URL('dist/', import.meta.url))

interface Chunk {
  file: string
  isEntry?: boolean
  imports?: string[]
  dynamicImports?: string[]
}

const manifest = JSON.parse(readFileSync(`${dist}.vite/manifest.json`, 'utf8')) as Record<string, Chunk>

/** A chunk and everything that it needs before it runs. */
function closure(name: string, seen = new Set<string>()): Set<string> {
  if (seen.has(name)) return seen
  seen.add(name)
  for (const needed of manifest[name]?.imports ?? []) closure(needed, seen)
  return seen
}

const sizes = new Map<string, number>()
function weight(names: Iterable<string>): number {
  let total = 0
  for (const name of names) {
    const file = manifest[name]?.file
    if (!file?.endsWith('.js')) continue
    const size = sizes.get(file) ?? gzipSync(readFileSync(dist + file)).length
    sizes.set(file, size)
    total += size
  }
  return total
}

const entry = Object.keys(manifest).find((name) => manifest[name]?.isEntry)
if (!entry) throw new Error('The build has no entry')
const shell = closure(entry)
// A page is what an address loads; what one of its parts brings when it is opened is not its first load.
const pages = Object.keys(manifest).filter((name) => /^src\/features\/.+-page\.tsx$/.test(name))
const loads = pages
  .map((page) => ({ page, bytes: weight(new Set([...shell, ...closure(page)])) }))
  .sort((a, b) => b.bytes - a.bytes)
const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`
process.stdout.write(`frame ${kilobytes(weight(shell))}\n`)
for (const { page, bytes } of loads) process.stdout.write(`${kilobytes(bytes).padStart(9)}  ${page}\n`)
const over = loads.filter((load) => load.bytes > BUDGET_BYTES)
if (over.length > 0)
  process.stderr.write(`Over the budget of ${kilobytes(BUDGET_BYTES)}: ${over.map((load) => load.page).join(', ')}\n`)
process.exitCode = over.length > 0 ? 1 : 0
