import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../kernel/config/index.ts'
import { jsonb, sql } from '../kernel/db/index.ts'
import { answerFor, type PostedAnswer, type SamlIdp, startIdp } from './saml.ts'
import { openWorld, type World } from './world.ts'

export const SSO = '/api/v1/auth/sso/saml'

/** A provider and a world that know each other. */
export interface SamlGround {
  idp: SamlIdp
  world: World
  /** For files of the test's own. */
  folder: string
  /** Another world that knows the provider, which answers it alone until `meet` again. */
  another(saml: Partial<Config['saml']>, movableClock?: boolean): Promise<World>
  /** The provider answers the first world. */
  meet(): void
  close(): Promise<void>
}

export async function openSamlGround(saml: Partial<Config['saml']> = {}): Promise<SamlGround> {
  const folder = mkdtempSync(join(tmpdir(), 'wh-saml-'))
  const idp = await startIdp()
  const metadata = join(folder, 'idp.xml')
  writeFileSync(metadata, idp.metadata)

  async function another(given: Partial<Config['saml']>, movableClock = false): Promise<World> {
    const opened = await openWorld({ movableClock, config: (config) => void Object.assign(config.saml, given) })
    await opened.kernel.db.auth((tx) =>
      tx.run(sql`
        insert into installation (key, value)
        values ('first_tenant', ${jsonb(opened.a.id)}), ('admin_subject', ${jsonb('admin@alpha.test')})`),
    )
    idp.meet(`${opened.url}${SSO}/metadata`)
    return opened
  }

  const world = await another({ metadata, ...saml })
  return {
    idp,
    world,
    folder,
    another,
    meet: () => idp.meet(`${world.url}${SSO}/metadata`),
    async close() {
      await world.close()
      await idp.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Begins a login: where the browser is sent, and the cookie that it is given. */
export async function begin(
  world: World,
  query: Record<string, string> = {},
): Promise<{ location: string; browser: string }> {
  const asked = await fetch(`${world.url}${SSO}/login?${new URLSearchParams(query)}`, { redirect: 'manual' })
  if (asked.status !== 302) throw new Error(`The login begins with ${asked.status}: ${await asked.text()}`)
  const [browser = ''] = asked.headers.getSetCookie().map((line) => line.split(';')[0] ?? '')
  return { location: asked.headers.get('location') ?? '', browser }
}

/** As a browser posts it from the provider's page: a cross-site form, so that no cookie of ours comes along. */
export const post = ({ action, ...fields }: PostedAnswer): Promise<Response> =>
  fetch(action, { method: 'POST', redirect: 'manual', body: new URLSearchParams(fields) })

/** Follows one redirect of ours. */
export const goOn = (world: World, location: string | null, browser: string): Promise<Response> =>
  fetch(new URL(location ?? '', world.url), { redirect: 'manual', headers: { cookie: browser } })

/** The whole way, up to the answer that ends it. */
export async function signIn(world: World, user: string, query: Record<string, string> = {}): Promise<Response> {
  const { location, browser } = await begin(world, query)
  const posted = await post(await answerFor(location, user))
  return goOn(world, posted.headers.get('location'), browser)
}

/** What the address that a login ends with says after its `#`. */
export const fragmentOf = (response: Response): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(response.headers.get('location')?.split('#')[1] ?? ''))
