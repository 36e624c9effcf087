import { contract } from '@wheelhouse/contract'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { agree } from '../ask.ts'
import { age, moment } from '../cells.ts'
import type { Call, Command, Group } from '../command.ts'
import { EXIT } from '../exit.ts'
import { card, type Columns, serialised } from '../render.ts'
import { row } from '../row.ts'
import { bundleFolder } from './pack-bundle.ts'

const { packs, marketplace } = contract.jobs

const packIds: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.jobs.packs.listPacks({})
  return items.map(({ id, version, status }) => [id, `${version} ${status}`] as const)
}

type Pack = Awaited<ReturnType<ReturnType<Call['session']>['client']['jobs']['packs']['getPack']>>

const SIGNED = { verified: 'by a trusted key', unsigned: 'none', untrusted: 'by an unknown key' } as const
const named = (members: object | undefined): string => Object.keys(members ?? {}).join(', ')

const CARD: Columns<Pack> = {
  Pack: ({ id, manifest }) => `${id} ${manifest.metadata.title}`,
  Version: ({ version }) => version,
  Status: ({ status }) => status,
  Signature: ({ signature }) =>
    `${SIGNED[signature?.state ?? 'unsigned']}${signature?.key_id ? ` (${signature.key_id})` : ''}`,
  About: ({ manifest }) => manifest.metadata.description,
  Workflows: ({ resources }) => named(resources.workflows),
  Schemas: ({ resources }) => named(resources.schemas),
  Policy: ({ overlays }) => overlays.policy?.map(({ fragment_id: id }) => id).join(', '),
  Settings: ({ overlays }) => overlays.config?.map(({ key, name }) => `${key} (${name})`).join(', '),
  Installed: ({ installed_at: at, installed_by: by }) => (at ? `${moment(at)}${by ? ` by ${by}` : ''}` : ''),
}

const list = row('jobs', packs.listPacks, {
  name: 'list',
  aliases: ['ls'],
  items: ({ items }) => items,
  columns: {
    PACK: ({ id }) => id,
    VERSION: ({ version }) => version,
    STATUS: ({ status }) => status,
    SIGNED: ({ signature }) => SIGNED[signature?.state ?? 'unsigned'],
    WORKFLOWS: ({ resources }) => Object.keys(resources.workflows ?? {}).length,
    INSTALLED: ({ installed_at: at }) => age(at),
  },
  id: ({ id }) => id,
})

const get = row('jobs', packs.getPack, {
  name: 'get',
  aliases: ['show'],
  complete: packIds,
  columns: CARD,
  id: ({ id }) => id,
})

const build: Command = {
  name: 'build',
  summary: 'Make a bundle of a folder with pack.yaml in it; the same folder gives the same bytes',
  args: ['folder'],
  flags: [{ name: 'file', short: 'f', kind: 'text', value: 'path', summary: 'where to write it (<folder>.tgz)' }],
  examples: ['wheelhouse pack build packs/hello', 'wheelhouse pack install hello.tgz'],
  async run({ io, args, flags, voice }) {
    const folder = resolve(io.cwd, args.one('folder'))
    const path = resolve(io.cwd, flags.text('file') ?? `${basename(folder)}.tgz`)
    const { bytes, files, sha256 } = await bundleFolder(folder)
    writeFileSync(path, bytes)
    voice.line(path)
    voice.say(`${files} files, ${bytes.length} bytes, sha256 ${sha256}`)
  },
}

const install: Command = {
  name: 'install',
  summary: 'Install a pack from a bundle, a folder, or a catalogue: all of it, or nothing',
  args: ['source'],
  flags: [
    { name: 'signature', kind: 'text', value: 'path', summary: 'a detached signature of the bundle' },
    {
      name: 'catalog',
      kind: 'text',
      value: 'id',
      summary: 'take it from this catalogue; the source is the id of the pack',
    },
    { name: 'version', kind: 'text', value: 'version', summary: 'with --catalog: which version (the highest)' },
    { name: 'upgrade', kind: 'switch', summary: 'replace what an older version brought' },
    { name: 'inactive', kind: 'switch', summary: 'without its routing: its jobs do not run yet' },
    { name: 'force', kind: 'switch', summary: 'also where it asks for another version of the server' },
  ],
  examples: ['wheelhouse pack install hello.tgz', 'wheelhouse pack install packs/hello --upgrade'],
  async run(call) {
    const { flags, voice, format } = call
    const switches = Object.fromEntries(
      (['upgrade', 'inactive', 'force'] as const).map((name) => [name, flags.on(name)]),
    )
    const pack = flags.text('catalog') === undefined ? await upload(call, switches) : await fetchListed(call, switches)
    if (format === 'json' || format === 'yaml') return voice.line(serialised(format, pack))
    if (format === 'name') return voice.line(pack.id)
    voice.line(card(pack, CARD, voice))
    const [workflow] = Object.keys(pack.resources.workflows ?? {})
    if (workflow) voice.say(`Run it: wheelhouse workflow run ${workflow}`)
  },
}

async function upload(call: Call, switches: Readonly<Record<string, boolean>>): Promise<Pack> {
  const { io, args, flags, signal } = call
  const path = resolve(io.cwd, args.one('source'))
  const form = new FormData()
  const isBundle = /\.(tgz|tar\.gz)$/.test(path)
  const bytes = isBundle ? readFileSync(path) : (await bundleFolder(path)).bytes
  form.set('bundle', new Blob([new Uint8Array(bytes)]), isBundle ? basename(path) : `${basename(path)}.tgz`)
  const signature = flags.text('signature')
  if (signature !== undefined)
    form.set('signature', new Blob([new Uint8Array(readFileSync(resolve(io.cwd, signature)))]), 'pack.sig')
  for (const [name, on] of Object.entries(switches)) if (on) form.set(name, 'true')
  const { client } = call.session()
  const answer = await client.request('POST', '/api/v1/packs/install', {
    body: form,
    headers: { 'x-wheelhouse-surface': 'jobs' },
    signal,
  })
  return answer.body as Pack
}

function fetchListed(call: Call, switches: Readonly<Record<string, boolean>>): Promise<Pack> {
  const { args, flags, signal } = call
  const version = flags.text('version')
  return call.session().client.jobs.marketplace.installFromMarketplace({
    body: {
      catalog_id: flags.text('catalog') ?? '',
      pack_id: args.one('source'),
      ...(version === undefined ? {} : { version }),
      ...switches,
    },
    signal,
  })
}

const verify = row('jobs', packs.verifyPack, {
  name: 'verify',
  summary: 'Ask policy the questions that the pack brings along; exits 1 when an answer differs',
  complete: packIds,
  items: ({ results }) => results,
  columns: {
    OK: ({ ok }) => (ok ? 'yes' : 'NO'),
    TEST: ({ name }) => name,
    EXPECTED: ({ expected }) => expected,
    GOT: ({ got }) => got,
    REASON: ({ reason }) => reason,
  },
  code: ({ results }) => (results.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed),
})

const uninstall: Command = {
  name: 'uninstall',
  aliases: ['rm'],
  summary: 'Take a pack out again: its policy, settings, and with --purge its workflows and schemas',
  args: ['id'],
  complete: packIds,
  flags: [
    { name: 'purge', kind: 'switch', summary: 'also its workflows and schemas' },
    { name: 'yes', short: 'y', kind: 'switch', summary: 'do not ask' },
  ],
  async run(call) {
    const id = call.args.one('id')
    await agree(call, `Uninstall ${id}?`)
    const purge = call.flags.on('purge')
    await call.session().client.jobs.packs.uninstallPack({ params: { id }, body: { purge }, signal: call.signal })
    call.voice.say(`Uninstalled ${id}${purge ? ' with its workflows and schemas' : ''}.`)
  },
}

const search = row('jobs', marketplace.listMarketplace, {
  name: 'search',
  summary: 'What the catalogues offer',
  items: ({ items }) => items,
  columns: {
    PACK: ({ id }) => id,
    VERSION: ({ version }) => version,
    INSTALLED: ({ installed_version: installed }) => installed,
    CATALOGUE: ({ catalog_id: catalog }) => catalog,
    ABOUT: ({ title, description }) => title ?? description,
  },
  id: ({ id }) => id,
  said: ({ catalogs }) =>
    catalogs.length === 0
      ? 'There is no catalogue. Add one to the configuration document system/pack_catalogs.'
      : catalogs
          .filter(({ error }) => error !== undefined)
          .map(({ id, error }) => `${id}: ${error ?? ''}`)
          .join('\n'),
})

export const packGroup: Group = {
  name: 'pack',
  aliases: ['packs'],
  summary: 'Bundles of workflows, schemas, policy and configuration',
  commands: [list, get, build, install, verify, uninstall, search],
}
