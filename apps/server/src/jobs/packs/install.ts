import { Fault } from '@wheelhouse/contract'
import type { PackRecord } from '@wheelhouse/contract/jobs/packs'
import server from '../../../package.json' with { type: 'json' }
import { ids, type Instant, iso } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { actorOf, can, type Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import {
  contentHash,
  deleteDocument,
  type PolicyCaller,
  putDocument,
  recordPolicyChange,
} from '../../kernel/policy/index.ts'
import { deleteSchema, findSchema, putSchema } from '../../kernel/schemas/index.ts'
import { deleteWorkflow, findWorkflow, saveWorkflow } from '../../kernel/workflows/index.ts'
import type { Bundle } from './archive.ts'
import { type Manifest, readManifest, readMap, readYaml, refuse, requireCore } from './manifest.ts'
import { deletePatch, isJson } from './merge-patch.ts'
import { type Layers, openLayers } from './overlays.ts'
import { installedPacks, writeRecord } from './registry.ts'
import { checkSignature, packTrust } from './trust.ts'

export interface InstallOptions {
  /** Detached, over the bundle's SHA-256. */
  signature?: Uint8Array | undefined
  /** Skips the check of the core's version. */
  force: boolean
  upgrade: boolean
  inactive: boolean
  /** For the trail of policy. */
  request: PolicyCaller['request']
}

type Parts = Pick<Kernel, 'db' | 'clock' | 'locks' | 'policy' | 'tenantConfig' | 'events'>

const LOCK_MS = 60_000

/**
 * Runs a change of the tenant's packs: one transaction under the locks that cordumctl takes too (jobs.md 24.3 step 1), so that what
 * fails half-way leaves nothing; in force when it returns. Throws PACK_LOCKED while somebody else holds a lock.
 */
async function change<T>(
  { db, locks, policy, tenantConfig, events }: Parts,
  principal: Principal,
  packId: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const owner = `api-gateway:${ids.next()}`
  const held = [
    { resource: 'packs:global', message: 'global pack lock held' },
    { resource: `pack:${packId}`, message: 'pack lock held' },
  ]
  const done = await db.tenant(principal.tenantId, async (tx) => {
    for (const { resource, message } of held) {
      await locks.acquire(tx, { resource, owner, ttlMs: LOCK_MS }).catch((error: unknown) => {
        if (error instanceof Fault && error.code === 'RES_CONFLICT')
          throw new Fault('PACK_LOCKED', { resource }, { message, cause: error })
        throw error
      })
    }
    const result = await work(tx)
    for (const { resource } of held.toReversed()) await locks.release(tx, { resource, owner })
    return result
  })
  tenantConfig.changed(principal.tenantId)
  await policy.changed(principal.tenantId)
  events.wake()
  return done
}

/** Installs a bundle, or upgrades to it. Throws VAL_SCHEMA that says what is wrong, PACK_LOCKED. */
export async function installPack(
  parts: Parts,
  principal: Principal,
  bundle: Bundle,
  options: InstallOptions,
): Promise<PackRecord> {
  const manifest = readManifest(bundle.manifest)
  if (!options.force) requireCore(manifest, server.version)
  requireRights(principal, manifest)
  return change(parts, principal, manifest.id, async (tx) => {
    const now = parts.clock.now()
    const signature = checkSignature(await packTrust(tx), bundle, options.signature)
    const installed = await installedPacks(tx, 'lock')
    const before = installed.get(manifest.id)
    const isLive = before !== undefined && before.status !== 'DISABLED'
    if (isLive && before.version !== manifest.version && !options.upgrade)
      refuse(`pack ${manifest.id} ${before.version} is installed; rerun with upgrade`)
    const layers = await openLayers(tx)
    // The version before goes first, so that what this one no longer brings does not stay (jobs.md 24.4, fix).
    const kept = new Set(manifest.policy.map(({ name }) => fragmentId(manifest.id, name)))
    const replaced = isLive ? await takeOut(tx, now, layers, before, kept) : new Set<string>()
    const resources = await putResources(tx, principal, { manifest, bundle, upgrade: options.upgrade, now })
    const overlays = await putOverlays(tx, now, layers, { manifest, bundle, inactive: options.inactive, replaced })
    const hasPools = overlays.config?.some(({ key }) => key === 'pools') ?? false
    const record: PackRecord = {
      id: manifest.id,
      version: manifest.version,
      status: hasPools ? 'ACTIVE' : 'INACTIVE',
      installed_at: iso(now),
      installed_by: principal.subject,
      manifest: manifest.shown,
      resources: {
        // What an earlier version brought stays until a purge: runs may still name it.
        schemas: { ...before?.resources.schemas, ...resources.schemas },
        workflows: { ...before?.resources.workflows, ...resources.workflows },
      },
      overlays,
      tests: { policySimulations: manifest.simulations },
      sha256: bundle.sha256,
      signature,
    }
    await writeRecord(tx, now, installed, record)
    await tellPolicy(tx, { principal, now, request: options.request }, record, isLive ? before : undefined)
    await told(tx, principal, now, { type: 'pack.installed', record, from: isLive ? before.version : undefined })
    return record
  })
}

/** Takes a pack out; with `purge` also its workflows and schemas. Throws RES_NOT_FOUND, PACK_LOCKED. */
export async function uninstallPack(
  parts: Parts,
  principal: Principal,
  id: string,
  { purge, request }: { purge: boolean; request: PolicyCaller['request'] },
): Promise<PackRecord> {
  return change(parts, principal, id, async (tx) => {
    const now = parts.clock.now()
    const installed = await installedPacks(tx, 'lock')
    const before = installed.get(id)
    if (!before) throw new Fault('RES_NOT_FOUND', { id }, { message: 'pack not installed' })
    requireRights(principal, before.overlays)
    const layers = await openLayers(tx)
    if (before.status !== 'DISABLED') await takeOut(tx, now, layers, before, new Set())
    await layers.write(now)
    if (purge) {
      for (const workflow of Object.keys(before.resources.workflows ?? {}))
        await deleteWorkflow(tx, principal, workflow, now)
      for (const schema of Object.keys(before.resources.schemas ?? {})) await deleteSchema(tx, schema)
    }
    const record: PackRecord = { ...before, status: 'DISABLED', ...(purge ? { resources: {} } : {}) }
    await writeRecord(tx, now, installed, record)
    if (before.status !== 'DISABLED') await tellPolicy(tx, { principal, now, request }, record, before)
    await told(tx, principal, now, { type: 'pack.uninstalled', record, from: undefined })
    return record
  })
}

/** A pack is no way around the rights to policy and configuration: whoever brings or takes them by a pack needs them too. */
function requireRights(
  principal: Principal,
  { policy, config }: { policy?: readonly unknown[]; config?: readonly unknown[] },
): void {
  const needed = [...(policy?.length ? ['policy:write'] : []), ...(config?.length ? ['config:write'] : [])]
  const required = needed.find((permission) => !can(principal, permission))
  if (required !== undefined) throw new Fault('PERM_DENIED', { required, roles: principal.roles })
}

const fragmentId = (packId: string, name: string): string => `${packId}/${name}`

/**
 * The overlays of a record, taken away in reverse; its policy fragments removed but those that are `kept` (jobs.md 24.4), whose ids
 * it returns: they are replaced, and stay switched off where somebody did that.
 */
async function takeOut(
  tx: Tx,
  now: Instant,
  layers: Layers,
  { overlays }: PackRecord,
  kept: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  for (const { key, patch } of [...(overlays.config ?? [])].reverse()) layers.remove(key, deletePatch(patch))
  const fragments = (overlays.policy ?? []).map(({ fragment_id }) => fragment_id)
  for (const id of fragments) if (!kept.has(id)) await deleteDocument(tx, now, id)
  return new Set(fragments.filter((id) => kept.has(id)))
}

interface Source {
  manifest: Manifest
  bundle: Bundle
}

/** Registers schemas, then saves workflows, which may name them. Equal ones stay; different ones need `upgrade` (jobs.md 24.3 step 2). */
async function putResources(
  tx: Tx,
  principal: Principal,
  { manifest, bundle, upgrade, now }: Source & { upgrade: boolean; now: Instant },
): Promise<{ schemas: Record<string, string>; workflows: Record<string, string> }> {
  const schemas: Record<string, string> = {}
  const workflows: Record<string, string> = {}
  for (const { id, path } of manifest.schemas) {
    const schema = readYaml(bundle.read(path), path)
    const stored = await findSchema(tx, id)
    const isSame = stored !== undefined && isJson(schema) && contentHash(schema) === stored.sha256
    if (stored && !isSame && !upgrade) exists('schema', id)
    schemas[id] = isSame ? stored.sha256 : await naming(path, () => putSchema(tx, now, id, schema))
  }
  for (const { id, path } of manifest.workflows) {
    const definition = { ...readMap(bundle.read(path), path), id }
    const stored = await findWorkflow(tx, id)
    // Compared by the store, with the defaults that it fills in (jobs.md 24.3, fix); what was written is undone with all else.
    const { revision } = await naming(path, () => saveWorkflow(tx, principal, definition, now))
    if (stored && revision !== stored.revision && !upgrade) exists('workflow', id)
    workflows[id] = contentHash((await findWorkflow(tx, id))?.definition ?? definition)
  }
  return { schemas, workflows }
}

const exists = (kind: string, id: string): never => refuse(`${kind} ${id} exists; rerun with upgrade`)

/** Says which file of the bundle a refusal is about. */
async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Fault) || (error.status !== 400 && error.status !== 422)) throw error
    const { code, details, extra } = error
    throw new Fault(code, details, { message: `${path}: ${error.message}`, cause: error, ...(extra ? { extra } : {}) })
  }
}

async function putOverlays(
  tx: Tx,
  now: Instant,
  layers: Layers,
  { manifest, bundle, inactive, replaced }: Source & { inactive: boolean; replaced: ReadonlySet<string> },
): Promise<PackRecord['overlays']> {
  const applied = manifest.config.filter(({ key }) => !inactive || key !== 'pools')
  const config = applied.map((overlay) => {
    const patch = readMap(bundle.read(overlay.path), overlay.path)
    layers.add(manifest.id, overlay, patch)
    return { name: overlay.name, scope: overlay.scope, scope_id: overlay.scopeId, key: overlay.key, patch }
  })
  await layers.write(now)
  const policy: { name: string; fragment_id: string }[] = []
  for (const { name, path } of manifest.policy) {
    const id = fragmentId(manifest.id, name)
    const content = bundle.read(path).toString('utf8')
    const { version } = manifest
    const enabled = replaced.has(id) ? undefined : true
    await naming(path, () =>
      putDocument(tx, now, { id, content, enabled, author: `pack ${manifest.id}`, version, installedAt: now }),
    )
    policy.push({ name, fragment_id: id })
  }
  return { ...(config.length > 0 ? { config } : {}), ...(policy.length > 0 ? { policy } : {}) }
}

/** A pack's fragments are policy: who looks at the history of policy sees them come and go. */
async function tellPolicy(
  tx: Tx,
  caller: PolicyCaller,
  { id, version, status, overlays }: PackRecord,
  before: PackRecord | undefined,
): Promise<void> {
  const now = status === 'DISABLED' ? [] : (overlays.policy ?? [])
  const bundleIds = [...new Set([...now, ...(before?.overlays.policy ?? [])].map(({ fragment_id }) => fragment_id))]
  if (bundleIds.length === 0) return
  const message = status === 'DISABLED' ? `pack ${id} uninstalled` : `pack ${id} ${version} installed`
  await recordPolicyChange(tx, caller, { action: 'update', resourceId: bundleIds[0] ?? id, bundleIds, message })
}

async function told(
  tx: Tx,
  principal: Principal,
  now: Instant,
  { type, record, from }: { type: 'pack.installed' | 'pack.uninstalled'; record: PackRecord; from: string | undefined },
): Promise<void> {
  const { id, version, status, sha256, signature } = record
  await publish(tx, {
    type,
    resource: { kind: 'pack', id },
    actor: actorOf(principal),
    data: { version, status, ...(from === undefined ? {} : { from }), sha256, signature: signature?.state },
    at: now,
  })
}
