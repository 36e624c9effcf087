import { Fault } from '@wheelhouse/contract'
import type { Tx } from '../../kernel/db/index.ts'
import { type Data, findDocument } from '../../kernel/tenant-config/index.ts'

/** Where a tenant looks for packs (jobs.md 24.5). */
export const CATALOGS_ID = 'pack_catalogs'

export interface Catalog {
  id: string
  title: string
  url: string
  enabled: boolean
}

const MAX_CATALOGS = 20
const ADVICE = 'write {catalogs: [{id, title, url: "https://…/catalog.json", enabled: true or false}]}'

const refuse = (what: string): never => {
  throw new Fault('VAL_SCHEMA', {}, { message: `pack_catalogs: ${what}; ${ADVICE}` })
}

const isWebUrl = (url: string): boolean =>
  url.length <= 2048 && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)

/** Reads the document system/pack_catalogs. Throws VAL_SCHEMA that says what to write. */
export function readCatalogs(data: Data): Catalog[] {
  const { catalogs, ...more } = data
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) refuse(`"${unknown}" is not known`)
  if (!Array.isArray(catalogs) || catalogs.length > MAX_CATALOGS)
    return refuse(`catalogs is a list of at most ${MAX_CATALOGS}`)
  const read = catalogs.map((each: unknown): Catalog => {
    const {
      id,
      title = '',
      url,
      enabled = true,
    } = (typeof each === 'object' && each !== null ? each : {}) as Record<string, unknown>
    if (typeof id !== 'string' || !/^[\w.-]{1,128}$/.test(id)) return refuse('a catalogue has an id')
    if (typeof url !== 'string' || !isWebUrl(url)) return refuse(`the url of ${id} must be http or https`)
    if (typeof title !== 'string' || typeof enabled !== 'boolean') return refuse(`${id} is not understood`)
    return { id, title, url, enabled }
  })
  if (new Set(read.map(({ id }) => id)).size !== read.length) refuse('two catalogues have the same id')
  return read
}

/** What the tenant has written; undefined when it has not. */
export async function storedCatalogs(tx: Tx): Promise<Catalog[] | undefined> {
  const document = await findDocument(tx, 'system', CATALOGS_ID)
  return document && readCatalogs(document.data)
}
