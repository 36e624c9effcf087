import type { Instant } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { findDocument, writeDocument } from '../../kernel/tenant-config/index.ts'
import { type ConfigOverlay, refuse, requirePrefix } from './manifest.ts'
import { isJson, type Json, mergePatch } from './merge-patch.ts'

/** Where pools and timeouts stand; the only document that packs lay something over. */
const TARGET = { scope: 'system', scopeId: 'default' } as const

const keysOf = (value: unknown): string[] => (isJson(value) ? Object.keys(value) : [])

function onlyKeys(overlay: ConfigOverlay, patch: Json, allowed: readonly string[]): void {
  const wrong = Object.keys(patch).find((key) => !allowed.includes(key))
  if (wrong !== undefined)
    refuse(`${overlay.path}: "${wrong}" does not belong into a ${overlay.key} overlay; it has ${allowed.join(' and ')}`)
}

/** What a pack may lay over the configuration: its own topics, workflows and pools, and pools that are there (jobs.md 24.2). */
function checkPatch(packId: string, overlay: ConfigOverlay, patch: Json, current: Json): void {
  if (overlay.key === 'timeouts') {
    onlyKeys(overlay, patch, ['topics', 'workflows'])
    requirePrefix('timeouts topic', `job.${packId}.`, keysOf(patch['topics']))
    requirePrefix('timeouts workflow', `${packId}.`, keysOf(patch['workflows']))
    return
  }
  onlyKeys(overlay, patch, ['topics', 'pools'])
  requirePrefix('pools topic', `job.${packId}.`, keysOf(patch['topics']))
  const known = new Set([...keysOf(current['pools']), ...Object.values(topicsOf(current)).flat()])
  const named = [...keysOf(patch['pools']), ...Object.values(topicsOf(patch)).flat()]
  const foreign = named.find((pool) => !known.has(pool) && !pool.startsWith(packId))
  if (foreign !== undefined)
    refuse(`${overlay.path}: pool ${JSON.stringify(foreign)} is not there; a new one must start with ${packId}`)
}

/** Pools by topic, as far as they are written as names. */
function topicsOf(value: Json): Record<string, string[]> {
  const { topics } = value
  if (!isJson(topics)) return {}
  return Object.fromEntries(
    Object.entries(topics).map(([topic, pools]) => [
      topic,
      [pools].flat().filter((each): each is string => typeof each === 'string'),
    ]),
  )
}

/** The configuration that packs are laid over, held in memory until it is written once, under the lock of the tenant's configuration. */
export interface Layers {
  /** Checks a pack's patch and lays it over. Throws VAL_SCHEMA. */
  add(packId: string, overlay: ConfigOverlay, patch: Json): void
  /** Lays a patch over unchecked: what takes an earlier one away. */
  remove(key: string, patch: Json): void
  /** Writes what changed, if anything did. Throws VAL_SCHEMA when the result is not valid (jobs.md 24.2, fix). */
  write(now: Instant): Promise<void>
}

export async function openLayers(tx: Tx): Promise<Layers> {
  const document = await findDocument(tx, TARGET.scope, TARGET.scopeId, 'lock')
  const before: Json = { ...document?.data }
  let data = before
  const lay = (key: string, patch: Json): void => {
    data = { ...data, [key]: mergePatch(data[key], patch) }
  }
  return {
    add(packId, overlay, patch) {
      const current = data[overlay.key]
      checkPatch(packId, overlay, patch, isJson(current) ? current : {})
      lay(overlay.key, patch)
    },
    remove(key, patch) {
      if (isJson(data[key])) lay(key, patch)
    },
    async write(now) {
      if (data !== before) await writeDocument(tx, now, { ...TARGET, data, meta: document?.meta })
    },
  }
}
