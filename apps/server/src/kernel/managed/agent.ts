import { chownSync, closeSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { LOCAL_AGENT_VARIABLES } from '../config/index.ts'
import { prepareChildFolder } from './data-folder.ts'
import { childIdentity, isRoot, launch } from './launch.ts'
import { endLeftovers } from './leftovers.ts'
import { openLog } from './log-file.ts'
import { stage } from './staging.ts'
import { StartError } from './start-error.ts'
import { supervise, type Supervised } from './supervise.ts'

export interface ManagedAgent extends Supervised {
  /** The agent runs as our own user, so what runs on this host can read the data folder (decisions D9). */
  sharesUser: boolean
}

export interface AgentOptions {
  dataDir: string
  /** Address of the main listener. */
  url: string
  /** The agent's own token. */
  token: string
  /** Aborted once the server ends. */
  ending: AbortSignal
  log: Logger
}

const PROJECT = fileURLToPath(new URL('../../../../../', import.meta.url))
const BUNDLE = join('apps', 'agent', 'dist', 'agent.mjs')

/** The agent of this host as our child, its files in `<data>/agent`. Started by root it has a user of its own. */
export async function startManagedAgent({ dataDir, url, token, ending, log }: AgentOptions): Promise<ManagedAgent> {
  const bundle = join(PROJECT, BUNDLE)
  if (!existsSync(bundle)) throw new StartError(`The agent's program ${bundle} is missing; run \`npm run build\`.`)
  const dir = join(dataDir, 'agent')
  const identity = childIdentity('agent')
  prepareChildFolder(dir, identity)
  const tokenFile = join(dir, 'token')
  writeFileSync(tokenFile, token, { mode: 0o600 })
  if (identity) chownSync(tokenFile, identity.uid, identity.gid)

  const { root, node } = programs(bundle)
  const inside = (name: string) => (process.platform === 'linux' ? join('/proc/self/cwd', name) : join(dir, name))
  const supervised = await supervise({
    name: 'agent',
    ending,
    log,
    stopSignal: 'SIGTERM',
    stopWithinMs: 3_000,
    async start() {
      await endLeftovers(dir, 'agent.mjs', 'SIGTERM', 3_000)
      const output = openLog(join(dataDir, 'logs', 'agent.log'))
      const child = launch({
        program: node,
        args: [join(root, BUNDLE)],
        cwd: dir,
        env: {
          ...Object.fromEntries(LOCAL_AGENT_VARIABLES.map((name) => [name, process.env[name]])),
          PATH: process.env['PATH'],
          LANG: process.env['LANG'] ?? 'C.UTF-8',
          // A user without an account has no home either.
          HOME: identity ? '/tmp' : process.env['HOME'],
          ...(process.env['WHEELHOUSE_CRASH_POINT'] && {
            WHEELHOUSE_CRASH_POINT: process.env['WHEELHOUSE_CRASH_POINT'],
          }),
          WHEELHOUSE_AGENT_URL: url,
          WHEELHOUSE_AGENT_TOKEN_FILE: inside('token'),
          WHEELHOUSE_AGENT_DATA_DIR: inside('.'),
        },
        identity,
        deathSignal: 'TERM',
        output,
      })
      closeSync(output)
      await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject))
      return child
    },
  })
  return { ...supervised, sharesUser: !isRoot() }
}

/** Node and the bundle with its one native package, where the agent's user can reach them. */
function programs(bundle: string): { root: string; node: string } {
  const identity = childIdentity('agent')
  const version = createHash('sha256').update(readFileSync(bundle)).update(process.version).digest('hex')
  const root = stage(PROJECT, [BUNDLE, join('node_modules', '@lydell')], version, identity)
  const inProject = process.execPath.startsWith(PROJECT + (PROJECT.endsWith(sep) ? '' : sep))
  const home = inProject ? PROJECT : dirname(process.execPath)
  const file = relative(home, process.execPath)
  return { root, node: join(stage(home, [file], process.version, identity), file) }
}
