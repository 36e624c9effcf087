import { hash } from 'node:crypto'
import { iso, type Instant } from '../clock/index.ts'
import type { Actor } from '../identity/index.ts'

/** A domain event with its place in the tenant's stream (decisions D1). `seq` has no gaps. */
export interface DomainEvent {
  id: string
  seq: number
  type: string
  tenantId: string
  at: Instant
  actor: Actor
  resource: { kind: string; id: string }
  correlationId?: string
  causationId?: string
  data: Record<string, unknown>
  schema: 1
}

export type Chain = 'event' | 'audit'

export const FIRST_HASH = Buffer.alloc(32)

/** What a link of a chain commits to: everything of the row but the hash itself. */
export interface Link {
  tenantId: string
  seq: number
  id: string
  at: Instant
  body: unknown
}

/** `sha256(previous || JCS(row))` (decisions D7). */
export function linkHash(previous: Buffer, { tenantId, seq, id, at, body }: Link): Buffer {
  const row = `{"at":"${iso(at)}","body":${jcs(body)},"id":${spelled(id)},"seq":${seq},"tenant":${spelled(tenantId)}}`
  return hash('sha256', Buffer.concat([previous, Buffer.from(row)]), 'buffer')
}

/** Text that JSON spells as it is. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

function spelled(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`
  if (!text.isWellFormed()) throw new Error('Text with half a character has no canonical form')
  return JSON.stringify(text)
}

/** RFC 8785 of a value that was read from JSON: no undefined, no dates, no cycles. Each link of both chains passes here. */
export function jcs(value: unknown): string {
  if (typeof value === 'string') return spelled(value)
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  let text = ''
  if (Array.isArray(value)) {
    for (const each of value as unknown[]) text += text === '' ? jcs(each) : `,${jcs(each)}`
    return `[${text}]`
  }
  const record = value as Record<string, unknown>
  for (const key of Object.keys(record).sort()) {
    const member = record[key]
    if (member !== undefined) text += `${text === '' ? '' : ','}${spelled(key)}:${jcs(member)}`
  }
  return `{${text}}`
}

/** How far a batch has brought a chain. */
export interface MovedHead {
  tenantId: string
  chain: Chain
  seq: number
  hash: Buffer
  added: number
}
