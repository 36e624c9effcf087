import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorList, eventList, openApiDocument, permissionList, publicList } from './catalogues.ts'
import { configReference } from '../apps/server/src/kernel/config/index.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Every file that is made from the code and committed, so that its diff is the review of what changed for the world. */
const GENERATED: Record<string, () => string | Promise<string>> = {
  'docs/configuration.md': configReference,
  'docs/generated/permissions.md': permissionList,
  'docs/generated/errors.md': errorList,
  'docs/generated/events.md': eventList,
  'docs/generated/public-endpoints.md': publicList,
  'docs/generated/openapi.json': openApiDocument,
}

/** Writes the files that differ, or with `check` only names them. Returns their paths. */
async function generate(check: boolean): Promise<string[]> {
  const stale: string[] = []
  for (const [path, make] of Object.entries(GENERATED)) {
    const file = join(root, path)
    const text = await make()
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
    stale.push(path)
    if (check) continue
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  return stale
}

/** The messages of CAP and gRPC, made from their .proto files by a tool of their own. False when `check` finds them changed. */
function generateMessages(check: boolean): boolean {
  const script = join(root, 'packages', 'contract', 'generate-proto.mjs')
  return spawnSync(process.execPath, [script, ...(check ? ['--check'] : [])], { stdio: 'inherit' }).status === 0
}

const check = process.argv.includes('--check')
const stale = await generate(check)
if (!generateMessages(check)) process.exitCode = 1
if (check && stale.length > 0) {
  console.error(`Not as the code says; run \`npm run generate\` and commit:\n${stale.join('\n')}`)
  process.exitCode = 1
} else for (const path of stale) console.log(`wrote ${path}`)
