import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../kernel/clock/index.ts'
import { at, type Db, sql } from '../../kernel/db/index.ts'
import { type OidcFlow, secretHash } from '../../kernel/identity/index.ts'
import type { Vault } from '../../kernel/vault/index.ts'

/** How long a person may take at the provider. */
export const FLOW_MS = 10 * 60_000

export interface StoredFlow extends OidcFlow {
  /** Where the browser goes afterwards; a path of ours. */
  redirect: string
}

const random = (): string => randomBytes(32).toString('base64url')

/** Begins a login: what must stay secret is sealed here; the browser keeps one half, the provider hands back the other. */
export async function beginFlow(
  { db, vault, clock }: { db: Db; vault: Vault; clock: Clock },
  redirectUri: string,
  redirect: string,
): Promise<{ flow: StoredFlow; browser: string }> {
  const flow: StoredFlow = { redirectUri, redirect, state: random(), nonce: random(), codeVerifier: random() }
  const browser = random()
  const now = clock.now()
  const sealed = vault.seal(JSON.stringify(flow), 'oidc flow')
  await db.auth((tx) =>
    tx.run(sql`
      insert into oidc_flows (state_hash, browser_hash, sealed, created_at, expires_at)
      values (${secretHash(flow.state)}, ${secretHash(browser)}, ${sealed}, ${at(now)}, ${at(now + FLOW_MS)})`),
  )
  return { flow, browser }
}

/** Takes a login up again, once; undefined when it is unknown, late, taken, or another browser's. */
export async function takeFlow(
  { db, vault, clock }: { db: Db; vault: Vault; clock: Clock },
  state: string,
  browser: string,
): Promise<StoredFlow | undefined> {
  const row = await db.auth((tx) =>
    tx.maybe<{ browser_hash: Buffer; sealed: string; expires_at: number }>(
      sql`delete from oidc_flows where state_hash = ${secretHash(state)} returning browser_hash, sealed, expires_at`,
    ),
  )
  if (!row || row.expires_at <= clock.now() || !timingSafeEqual(row.browser_hash, secretHash(browser))) return undefined
  return JSON.parse(vault.open(row.sealed, 'oidc flow')) as StoredFlow
}

/** A path of ours that may be redirected to; anything that could lead elsewhere is the start page. */
export function ownPath(path: string | undefined): string {
  if (path === undefined || !/^\/(?![/\\])[\x21-\x7e]*$/.test(path) || path.includes('\\')) return '/'
  const url = new URL(path, 'http://here.invalid')
  // Resolving may itself have made a second slash the first thing: `/..//elsewhere`.
  const isOurs = url.origin === 'http://here.invalid' && !url.pathname.startsWith('//')
  return isOurs ? `${url.pathname}${url.search}${url.hash}` : '/'
}
