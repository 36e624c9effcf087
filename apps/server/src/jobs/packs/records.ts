import { Fault } from '@wheelhouse/contract'
import type { PackRecord } from '@wheelhouse/contract/jobs/packs'
import { isJson, type Json } from './merge-patch.ts'

const object = (value: unknown): Json => (isJson(value) ? value : {})
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const texts = (value: unknown): string[] | null =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string') : null

/** A member by its name in any case: cordumctl writes `ID`, `ProtocolVersion`, `RiskTags` (jobs.md 24.3 step 4). */
function member(of: unknown, name: string): unknown {
  const from = object(of)
  if (Object.hasOwn(from, name)) return from[name]
  const key = Object.keys(from).find((each) => each.toLowerCase() === name.toLowerCase())
  return key === undefined ? undefined : from[key]
}

const optional = <K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } =>
  value === undefined ? {} : ({ [name]: value } as { [P in K]?: V })

const optionalText = <K extends string>(name: K, value: unknown): { [P in K]?: string } =>
  optional(name, text(value) === '' ? undefined : text(value))

const STATUSES = ['ACTIVE', 'INACTIVE', 'DISABLED'] as const
const SIGNATURES = ['verified', 'unsigned', 'untrusted'] as const

/** A record as section 13 writes it, read from what any client of the registry wrote. Throws VAL_SCHEMA for what is none. */
export function readRecord(id: string, written: unknown): PackRecord {
  const status = text(member(written, 'status')).toUpperCase()
  const known = STATUSES.find((each) => each === status)
  if (!isJson(written) || !known) {
    const message = `pack ${id}: a record is an object whose status is ACTIVE, INACTIVE or DISABLED`
    throw new Fault('VAL_SCHEMA', { id }, { message })
  }
  const manifest = member(written, 'manifest')
  const metadata = member(manifest, 'metadata')
  const compatibility = member(manifest, 'compatibility')
  const topics = member(manifest, 'topics')
  const resources = member(written, 'resources')
  const installedAt = text(member(written, 'installed_at'))
  return {
    id,
    version: text(member(written, 'version')),
    status: known,
    ...(Number.isNaN(Date.parse(installedAt)) ? {} : { installed_at: new Date(installedAt).toISOString() }),
    ...optionalText('installed_by', member(written, 'installed_by')),
    manifest: {
      metadata: {
        id: text(member(metadata, 'id')),
        version: text(member(metadata, 'version')),
        title: text(member(metadata, 'title')),
        description: text(member(metadata, 'description')),
        ...optionalText('image', member(metadata, 'image')),
      },
      compatibility: {
        protocolVersion: Math.trunc(Number(member(compatibility, 'protocolVersion') ?? 0)) || 0,
        minCoreVersion: text(member(compatibility, 'minCoreVersion')),
        maxCoreVersion: text(member(compatibility, 'maxCoreVersion')),
      },
      ...(Array.isArray(topics) ? { topics: topics.map(topicOf) } : {}),
    },
    resources: {
      ...optional('schemas', hashes(member(resources, 'schemas'))),
      ...optional('workflows', hashes(member(resources, 'workflows'))),
    },
    overlays: overlaysOf(member(written, 'overlays')),
    tests: { policySimulations: simulationsOf(member(member(written, 'tests'), 'policySimulations')) },
    ...optionalText('sha256', member(written, 'sha256')),
    ...optional('signature', signatureOf(member(written, 'signature'))),
  }
}

const topicOf = (topic: unknown) => ({
  name: text(member(topic, 'name')),
  requires: texts(member(topic, 'requires')),
  riskTags: texts(member(topic, 'riskTags')),
  capability: text(member(topic, 'capability')),
})

function hashes(value: unknown): Record<string, string> | undefined {
  return isJson(value) ? Object.fromEntries(Object.entries(value).map(([id, hash]) => [id, text(hash)])) : undefined
}

function overlaysOf(overlays: unknown): PackRecord['overlays'] {
  const config = member(overlays, 'config')
  const policy = member(overlays, 'policy')
  return {
    ...(Array.isArray(config)
      ? {
          config: config.map((each) => ({
            name: text(member(each, 'name')),
            scope: text(member(each, 'scope')),
            scope_id: text(member(each, 'scope_id')),
            key: text(member(each, 'key')),
            patch: object(member(each, 'patch')),
          })),
        }
      : {}),
    ...(Array.isArray(policy)
      ? {
          policy: policy.map((each) => ({
            name: text(member(each, 'name')),
            fragment_id: text(member(each, 'fragment_id')),
          })),
        }
      : {}),
  }
}

/** The simulations of a manifest or a record, in either casing; null when there are none. */
export function simulationsOf(value: unknown): PackRecord['tests']['policySimulations'] {
  if (!Array.isArray(value)) return null
  return value.map((each: unknown) => {
    const request = member(each, 'request')
    return {
      name: text(member(each, 'name')),
      request: {
        tenantId: text(member(request, 'tenantId')),
        topic: text(member(request, 'topic')),
        capability: text(member(request, 'capability')),
        packId: text(member(request, 'packId')),
        actorId: text(member(request, 'actorId')),
        actorType: text(member(request, 'actorType')),
        riskTags: texts(member(request, 'riskTags')),
        requires: texts(member(request, 'requires')),
      },
      expectDecision: text(member(each, 'expectDecision')),
    }
  })
}

function signatureOf(value: unknown): PackRecord['signature'] {
  const state = SIGNATURES.find((each) => each === member(value, 'state'))
  return state === undefined ? undefined : { state, ...optionalText('key_id', member(value, 'key_id')) }
}
