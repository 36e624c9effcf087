import { afterAll, beforeAll, expect, test } from 'vitest'
import { jsonb, sql } from '../../kernel/db/index.ts'
import { ownPath } from '../../kernel/sso/index.ts'
import { followLogin, startProvider, type TestProvider } from '../../testing/oidc.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let provider: TestProvider
beforeAll(async () => {
  provider = await startProvider()
  world = await openWorld({
    config(config) {
      config.oidc.issuer = provider.issuer
      config.oidc.clientId = provider.clientId
    },
  })
  await world.kernel.db.auth((tx) =>
    tx.run(sql`insert into installation (key, value) values ('first_tenant', ${jsonb(world.a.id)})`),
  )
})
afterAll(async () => {
  await world.close()
  await provider.close()
})

const START = '/wheelhouse/api/v1/oidc/start'
const CALLBACK = '/wheelhouse/api/v1/oidc/callback'

/** The redirects of a login up to our own callback, which is not called yet, and the cookie that we set at its start. */
async function upToCallback(redirect = '/fleet?q=a'): Promise<{ callback: URL; browser: string }> {
  const begun = await fetch(`${world.url}${START}?redirect=${encodeURIComponent(redirect)}`, { redirect: 'manual' })
  expect(begun.status).toBe(302)
  const [browser = ''] = begun.headers.getSetCookie().map((line) => line.split(';')[0] ?? '')
  const callback = await followLogin(begun.headers.get('location') ?? '', `${world.url}${CALLBACK}`)
  return { callback, browser }
}

const finish = (callback: URL, cookie: string) => fetch(callback, { redirect: 'manual', headers: { cookie } })

test('a browser goes to the provider with PKCE and comes back with a session', async () => {
  provider.user('ada', { name: 'Ada', groups: ['team'] })
  provider.signIn('ada')
  const begun = await fetch(`${world.url}${START}`, { redirect: 'manual' })
  const target = new URL(begun.headers.get('location') ?? '')
  expect(Object.fromEntries(target.searchParams)).toMatchObject({
    response_type: 'code',
    code_challenge_method: 'S256',
    scope: 'openid profile email',
    redirect_uri: `${world.url}${CALLBACK}`,
  })
  const { callback, browser } = await upToCallback()
  const done = await finish(callback, browser)
  expect([done.status, done.headers.get('location')]).toEqual([302, '/fleet?q=a'])
  const cookies = done.headers.getSetCookie()
  const session = cookies.find((line) => line.startsWith('wheelhouse_session='))
  expect(session).toMatch(/HttpOnly; SameSite=Lax; Path=\//)
  const who = await world.call('GET', '/wheelhouse/api/v1/session', {
    as: null,
    headers: { cookie: session?.split(';')[0] ?? '' },
  })
  expect(who).toMatchObject({
    status: 200,
    body: { principal: { subject: 'ada', name: 'Ada', groups: ['team'] }, tenant: { id: world.a.id }, oidc: true },
  })
})

test('a login is finished once, by the browser that began it, and only while it is fresh', async () => {
  provider.user('bob', {})
  provider.signIn('bob')
  const first = await upToCallback()
  const foreign = await finish(first.callback, 'wheelhouse_oidc=another')
  expect(foreign.headers.get('location')).toBe('/login?error=sso_expired')
  expect(foreign.headers.getSetCookie().join()).not.toContain('wheelhouse_session=')
  // The attempt of the other browser used it up.
  expect((await finish(first.callback, first.browser)).headers.get('location')).toBe('/login?error=sso_expired')
  const second = await upToCallback()
  expect((await finish(second.callback, second.browser)).headers.get('location')).toBe('/fleet?q=a')
  expect((await finish(second.callback, second.browser)).headers.get('location')).toBe('/login?error=sso_expired')
})

test('what the provider refuses, and a forged code, lead to the login page with the reason', async () => {
  provider.signIn('bob')
  const refused = await upToCallback()
  const denied = new URL(refused.callback)
  denied.searchParams.delete('code')
  denied.searchParams.set('error', 'access_denied')
  expect((await finish(denied, refused.browser)).headers.get('location')).toBe(
    '/login?error=sso_refused&redirect=%2Ffleet%3Fq%3Da',
  )
  const forged = await upToCallback()
  const wrong = new URL(forged.callback)
  wrong.searchParams.set('code', 'forged')
  expect((await finish(wrong, forged.browser)).headers.get('location')).toMatch(/^\/login\?error=sso_failed/)
})

test.each([
  ['/a/b?c=d#e', '/a/b?c=d#e'],
  ['//evil.example/x', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example', '/'],
  ['javascript:alert(1)', '/'],
  ['/a\r\nSet-Cookie: x', '/'],
  ['/..//evil.example', '/'],
  ['/./\t/evil.example', '/'],
  [undefined, '/'],
])('%j is led to %j afterwards', (given, path) => {
  expect(ownPath(given)).toBe(path)
  expect(new URL(ownPath(given), 'https://us.example').origin).toBe('https://us.example')
})

test('without a provider there is no single sign-on', async () => {
  const plain = await openWorld()
  expect(await plain.call('GET', START, { as: null })).toMatchObject({ status: 422, body: { code: 'CONFIG_MISSING' } })
  await plain.close()
})
