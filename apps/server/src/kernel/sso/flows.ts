import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../clock/index.ts'
import { at, type Db, sql } from '../db/index.ts'
import { secretHash } from '../identity/index.ts'
import type { Vault } from '../vault/index.ts'

/** How long a person may take at the provider. */
export const FLOW_MS = 10 * 60_000
/** The browser follows a redirect of ours within moments. */
const HANDED_ON_MS = 60_000

/** What a login under way waits for. Nothing else takes it up. */
export type Awaited = 'oidc callback' | 'saml response' | 'saml session'

/** Where logins under way lie. */
export interface FlowStore {
  db: Db
  vault: Vault
  clock: Clock
}

/** A login that was taken up, and whose it is: the browser that began it. */
export interface TakenFlow<T> {
  content: T
  browserHash: Buffer
}

const random = (): string => randomBytes(32).toString('base64url')

/** Begins a login: what must stay secret is sealed here; the browser keeps one half, the provider hands `state` back. */
export async function beginFlow(
  store: FlowStore,
  awaited: Awaited,
  content: object,
): Promise<{ state: string; browser: string }> {
  const browser = random()
  return { state: await put(store, awaited, secretHash(browser), content, FLOW_MS), browser }
}

/** Takes a login up again, once; undefined when it is unknown, late, taken, or another browser's. */
export async function takeFlow<T>(
  store: FlowStore,
  awaited: Awaited,
  state: string,
  browser: string,
): Promise<T | undefined> {
  const taken = await takeUnseen<T>(store, awaited, state)
  return taken && timingSafeEqual(taken.browserHash, secretHash(browser)) ? taken.content : undefined
}

/**
 * The same where the provider's own page sends the browser, so that our cookie stays at home. Whose browser it is, nobody has asked yet:
 * nothing may come of it but `handOn`.
 */
export async function takeUnseen<T>(
  { db, vault, clock }: FlowStore,
  awaited: Awaited,
  state: string,
): Promise<TakenFlow<T> | undefined> {
  const row = await db.auth((tx) =>
    tx.maybe<{ browser_hash: Buffer; sealed: string; expires_at: number }>(sql`
      delete from login_flows where state_hash = ${secretHash(state)} and awaited = ${awaited}
      returning browser_hash, sealed, expires_at`),
  )
  if (!row || row.expires_at <= clock.now()) return undefined
  return { content: JSON.parse(vault.open(row.sealed, awaited)) as T, browserHash: row.browser_hash }
}

/** Lays a login down again for its next step, which has the browser's cookie. Returns the ticket by which that step takes it up. */
export const handOn = (
  store: FlowStore,
  { browserHash }: Pick<TakenFlow<unknown>, 'browserHash'>,
  awaited: Awaited,
  content: object,
): Promise<string> => put(store, awaited, browserHash, content, HANDED_ON_MS)

async function put(
  { db, vault, clock }: FlowStore,
  awaited: Awaited,
  browserHash: Buffer,
  content: object,
  lifeMs: number,
): Promise<string> {
  const state = random()
  const now = clock.now()
  await db.auth((tx) =>
    tx.run(sql`
      insert into login_flows (state_hash, awaited, browser_hash, sealed, created_at, expires_at)
      values (${secretHash(state)}, ${awaited}, ${browserHash}, ${vault.seal(JSON.stringify(content), awaited)}, ${at(now)}, ${at(now + lifeMs)})`),
  )
  return state
}
