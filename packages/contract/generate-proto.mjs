// Generates src/proto/*_pb.ts from proto/**/*.proto, offline. `--check` fails when the committed files differ.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'

const here = dirname(fileURLToPath(import.meta.url))
const bin = join(here, '../../node_modules/.bin')
const out = mkdtempSync(join(tmpdir(), 'wh-proto-'))
const target = join(here, 'src/proto')

try {
  const template = {
    version: 'v2',
    plugins: [
      { local: join(bin, 'protoc-gen-es'), out, opt: ['target=ts', 'import_extension=ts', 'erasable_syntax=true'] },
    ],
  }
  execFileSync(join(bin, 'buf'), ['generate', 'proto', '--template', JSON.stringify(template)], {
    cwd: here,
    stdio: 'inherit',
    env: { ...process.env, BUF_CACHE_DIR: join(out, '.cache') },
  })
  // One flat folder: the file names are unique, and readers import `@wheelhouse/contract/proto/cap_pb`.
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('_pb.ts'))
  mkdirSync(target, { recursive: true })
  for (const name of files) {
    const flat = join(target, name.split('/').at(-1))
    const generated = readFileSync(join(out, name), 'utf8')
    const flatImports = generated.replaceAll(/from "\.[^"]*\/([a-z]+_pb\.ts)"/g, 'from "./$1"')
    const text = await format(flatImports, { ...(await resolveConfig(flat)), filepath: flat })
    if (!process.argv.includes('--check')) writeFileSync(flat, text)
    else if (readFileSync(flat, 'utf8') !== text)
      throw new Error(`${flat} is not what its .proto file says: run generate-proto.mjs`)
  }
} finally {
  rmSync(out, { recursive: true, force: true })
}
