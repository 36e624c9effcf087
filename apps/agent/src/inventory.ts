import { execFile } from 'node:child_process'
import { readdir, readFile, realpath } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { InstalledPackage } from '@wheelhouse/sdk/agent-protocol'

const run = promisify(execFile)

/** Everything installed that a package manager knows of: dpkg, rpm, apk, global npm packages, Python distributions. Read, never executed, but for rpm. */
export async function readInventory(): Promise<InstalledPackage[]> {
  const found = await Promise.all([readDpkg(), readRpm(), readApk(), readNpm(), readPython()])
  return found.flat()
}

async function readDpkg(): Promise<InstalledPackage[]> {
  return parseDpkg(await readFile('/var/lib/dpkg/status', 'utf8').catch(() => ''))
}

/** The stanzas of dpkg's status file whose package is really installed (removed ones may stay listed for their configuration). */
export function parseDpkg(status: string): InstalledPackage[] {
  return stanzas(status, ': ')
    .filter((stanza) => stanza.Status?.endsWith(' installed') && stanza.Package)
    .map((stanza) => ({
      type: 'deb',
      name: stanza.Package!,
      version: stanza.Version ?? '',
      ...(stanza.Architecture && { arch: stanza.Architecture }),
      // Vulnerabilities are filed against the source package; its own version may follow in parentheses.
      ...(stanza.Source && { source: stanza.Source.split(' ')[0]! }),
    }))
}

async function readApk(): Promise<InstalledPackage[]> {
  return parseApk(await readFile('/lib/apk/db/installed', 'utf8').catch(() => ''))
}

/** Alpine's database: one letter, a colon, the value. */
export function parseApk(installed: string): InstalledPackage[] {
  return stanzas(installed, ':')
    .filter((stanza) => stanza.P)
    .map((stanza) => ({
      type: 'apk',
      name: stanza.P!,
      version: stanza.V ?? '',
      ...(stanza.A && { arch: stanza.A }),
      ...(stanza.o && { source: stanza.o }),
      ...(stanza.L && { license: stanza.L.slice(0, 512) }),
    }))
}

function stanzas(content: string, separator: string): Record<string, string | undefined>[] {
  return content.split('\n\n').map((stanza) => {
    const lines = stanza.split('\n').filter((line) => line !== '' && !line.startsWith(' '))
    return Object.fromEntries(
      lines.map((line) => {
        const at = line.indexOf(separator)
        return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + separator.length).trim()]
      }),
    )
  })
}

async function readRpm(): Promise<InstalledPackage[]> {
  const database = await Promise.all(
    ['/var/lib/rpm', '/usr/lib/sysimage/rpm'].map((folder) => readdir(folder).catch(() => [])),
  )
  if (database.flat().length === 0) return []
  try {
    const format = '%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}\\t%{LICENSE}\\n'
    const { stdout } = await run('rpm', ['-qa', '--qf', format], { maxBuffer: 64 * 1024 * 1024, timeout: 60_000 })
    return parseRpm(stdout)
  } catch {
    return []
  }
}

export function parseRpm(output: string): InstalledPackage[] {
  const rows = output.split('\n').map((line) => line.split('\t'))
  return rows
    .filter(([name, version]) => name && version)
    .map(([name = '', version = '', arch, source, license]) => ({
      type: 'rpm',
      name,
      version: version.replace(/^0:/, ''),
      ...(arch && arch !== '(none)' && { arch }),
      ...(source && source !== '(none)' && { source: source.replace(/-[^-]+-[^-]+\.src\.rpm$/, '') }),
      ...(license && { license: license.slice(0, 512) }),
    }))
}

async function readNpm(): Promise<InstalledPackage[]> {
  const onPath = await Promise.all(
    (process.env.PATH ?? '').split(delimiter).map((folder) => realpath(join(folder, 'node')).catch(() => '')),
  )
  const prefixes = new Set(['/usr', '/usr/local', ...onPath.filter(Boolean).map((node) => dirname(dirname(node)))])
  const found = await Promise.all([...prefixes].map((prefix) => readNodeModules(join(prefix, 'lib', 'node_modules'))))
  return found.flat()
}

async function readNodeModules(folder: string): Promise<InstalledPackage[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'))
  const found = await Promise.all(
    names.map(async (name) => {
      if (name.startsWith('@')) return readNodeModules(join(folder, name))
      const manifest = await readFile(join(folder, name, 'package.json'), 'utf8').catch(() => '')
      return parseManifest(manifest)
    }),
  )
  return found.flat()
}

function parseManifest(manifest: string): InstalledPackage[] {
  try {
    const { name, version, license } = JSON.parse(manifest) as Record<string, unknown>
    if (typeof name !== 'string' || typeof version !== 'string' || name === '') return []
    return [{ type: 'npm', name, version, ...(typeof license === 'string' && { license: license.slice(0, 512) }) }]
  } catch {
    return []
  }
}

async function readPython(): Promise<InstalledPackage[]> {
  const roots = ['/usr/lib', '/usr/local/lib', '/opt/venv/lib']
  const versions = await Promise.all(
    roots.map(async (root) => {
      const names = await readdir(root).catch(() => [])
      return names.filter((name) => /^python3(\.\d+)?$/.test(name)).map((name) => join(root, name))
    }),
  )
  const folders = versions.flat().flatMap((folder) => [join(folder, 'dist-packages'), join(folder, 'site-packages')])
  const found = await Promise.all(folders.map(readDistributions))
  return found.flat()
}

async function readDistributions(folder: string): Promise<InstalledPackage[]> {
  const names = await readdir(folder).catch(() => [])
  const files = names.flatMap((name) => {
    if (name.endsWith('.dist-info')) return [join(folder, name, 'METADATA')]
    return name.endsWith('.egg-info') ? [join(folder, name, 'PKG-INFO'), join(folder, name)] : []
  })
  const metadata = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))
  return metadata.flatMap(parseDistribution)
}

/** The head of a Python METADATA file. */
export function parseDistribution(metadata: string): InstalledPackage[] {
  const head = metadata.split(/\r?\n\r?\n/, 1)[0] ?? ''
  const field = (key: string) => new RegExp(`^${key}: (.+)$`, 'm').exec(head)?.[1]?.trim()
  const [name, version, license] = [field('Name'), field('Version'), field('License-Expression') ?? field('License')]
  return name && version ? [{ type: 'pypi', name, version, ...(license && { license: license.slice(0, 512) }) }] : []
}
