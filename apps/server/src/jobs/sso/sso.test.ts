import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { composeHttp } from '../../composition.ts'
import { sql } from '../../kernel/db/index.ts'
import { changeUser } from '../../kernel/identity/index.ts'
import {
  begin,
  fragmentOf,
  goOn,
  openSamlGround,
  post,
  type SamlGround,
  signIn,
  SSO,
} from '../../testing/saml-login.ts'
import { answerFor, type SamlIdp } from '../../testing/saml.ts'
import { openReplica, openWorld, type World } from '../../testing/world.ts'

const TRANSIENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'

let ground: SamlGround
let idp: SamlIdp
let world: World
beforeAll(async () => {
  ground = await openSamlGround({ adminGroup: '/ops/admins' })
  ;({ idp, world } = ground)
})
afterAll(() => ground.close())
afterEach(() => {
  idp.lie({})
  vi.restoreAllMocks()
})

describe('a login', () => {
  test('goes to the provider and comes back with a session in the fragment, as the reference’s dashboard reads it', async () => {
    idp.user('ada', { attributes: { displayName: 'Ada', email: 'ada@alpha.test', groups: ['/team', 'all'] } })
    const { location, browser } = await begin(world, { redirect: '/sso/callback?from=login#old' })
    const { SAMLRequest = '', RelayState, tenant } = Object.fromEntries(new URL(location).searchParams)
    expect({ tenant, state: RelayState?.length }).toEqual({ tenant: 'one', state: 43 })
    const request = inflateRawSync(Buffer.from(SAMLRequest, 'base64')).toString()
    expect(request).toContain(`AssertionConsumerServiceURL="${world.url}${SSO}/acs"`)
    const posted = await post(await answerFor(location, 'ada'))
    expect([posted.status, posted.headers.get('location')]).toEqual([303, expect.stringMatching(/\/session\?ticket=/)])
    const done = await goOn(world, posted.headers.get('location'), browser)
    expect(done.headers.get('location')).toMatch(/^\/sso\/callback\?from=login#token=session-/)
    expect(done.headers.get('cache-control')).toBe('no-store')
    expect(done.headers.getSetCookie()).toEqual([expect.stringMatching(/^wheelhouse_saml=; .*Max-Age=0/)])
    const { token = '', ...rest } = fragmentOf(done)
    expect(rest).toEqual({ tenant: world.a.slug, principal_id: expect.any(String), role: 'viewer' })
    const shown = await world.call('GET', '/api/v1/auth/session', { as: null, headers: { 'X-API-Key': token } })
    expect(shown).toMatchObject({
      status: 200,
      body: { user: { id: rest['principal_id'], tenant: world.a.slug, roles: ['viewer'], display_name: 'Ada' } },
    })
  })

  test('of the console ends with a cookie instead, and with nothing in the address', async () => {
    const done = await signIn(world, 'ada', { redirect: '/fleet?q=a', session: 'cookie' })
    expect(done.headers.get('location')).toBe('/fleet?q=a')
    const session = done.headers.getSetCookie().find((line) => line.startsWith('wheelhouse_session='))
    expect(session).toMatch(/HttpOnly; SameSite=Lax; Path=\//)
    const headers = { cookie: session?.split(';')[0] ?? '' }
    expect(await world.call('GET', '/wheelhouse/api/v1/session', { as: null, headers })).toMatchObject({
      status: 200,
      body: { principal: { subject: 'ada', name: 'Ada', groups: ['all', 'team'] }, tenant: { id: world.a.id } },
    })
  })

  test('is finished by the browser that began it alone, and once', async () => {
    const { location, browser } = await begin(world)
    const posted = (await post(await answerFor(location, 'ada'))).headers.get('location')
    const foreign = await goOn(world, posted, 'wheelhouse_saml=another')
    expect(foreign.headers.get('location')).toBe('/login?error=sso_expired')
    expect(foreign.headers.getSetCookie().join()).not.toContain('wheelhouse_session=')
    // The attempt of the other browser used it up.
    expect((await goOn(world, posted, browser)).headers.get('location')).toBe('/login?error=sso_expired')
    const second = await begin(world)
    const again = (await post(await answerFor(second.location, 'ada'))).headers.get('location')
    expect((await goOn(world, again, second.browser)).headers.get('location')).toMatch(/^\/#token=/)
    expect((await goOn(world, again, second.browser)).headers.get('location')).toBe('/login?error=sso_expired')
  })

  test('goes on step by step: what one step is told by does not lead into another', async () => {
    const { location, browser } = await begin(world)
    const answer = await answerFor(location, 'ada')
    const early = await goOn(world, `${SSO}/session?ticket=${answer.RelayState}`, browser)
    expect(early.headers.get('location')).toBe('/login?error=sso_expired')
    const ticket =
      new URL((await post(answer)).headers.get('location') ?? '', world.url).searchParams.get('ticket') ?? ''
    expect((await post({ ...answer, RelayState: ticket })).headers.get('location')).toBe('/login?error=sso_expired')
    expect(fragmentOf(await goOn(world, `${SSO}/session?ticket=${ticket}`, browser))).toHaveProperty('token')
  })

  test('leads only to paths of ours, however they are given', async () => {
    const ways: [string, string][] = [
      [`${world.url}/sso/callback`, '/sso/callback'],
      ['https://evil.example/x', '/'],
      [`${world.url}.evil.example/x`, '/'],
      ['//evil.example', '/'],
      // Nor, with a token, to an endpoint, which may redirect or answer with what somebody uploaded.
      [`${SSO}/login`, '/'],
      ['/jobs/%61pi/v1/artifacts/x', '/'],
      ['/jobs?q=/api', '/jobs?q=/api'],
    ]
    for (const [redirect, path] of ways)
      expect((await signIn(world, 'ada', { redirect })).headers.get('location')?.split('#')[0]).toBe(path)
  })

  test('is in the trail; what lies in the database meanwhile tells nothing', async () => {
    const { location, browser } = await begin(world)
    const answer = await answerFor(location, 'ada')
    const posted = (await post(answer)).headers.get('location')
    const { db } = world.kernel
    const rows = await db.auth((tx) => tx.many<Record<string, unknown>>(sql`select * from login_flows`))
    expect(rows.length).toBeGreaterThan(0)
    expect(JSON.stringify(rows)).not.toMatch(/ada|Assertion|saml:/)
    expect(JSON.stringify(rows)).not.toContain(answer.RelayState)
    const { token = '' } = fragmentOf(await goOn(world, posted, browser))
    const trail = await db.tenant(world.a.id, (tx) =>
      tx.many<{ body: unknown }>(sql`
        select body from outbox where kind = 'audit' union all select body from audit`),
    )
    const opened = trail.filter(({ body }) => JSON.stringify(body).includes(`saml:${idp.issuer}`))
    expect(opened.at(-1)).toMatchObject({ body: { verb: 'session.create', outcome: 'ok', metadata: { by: 'saml' } } })
    expect(JSON.stringify(trail)).not.toContain(token)
  })
})

describe('an answer is taken once', () => {
  test('a second time it answers nothing, neither here nor after a restart, nor under another login', async () => {
    const { location } = await begin(world)
    const answer = await answerFor(location, 'ada')
    expect((await post(answer)).headers.get('location')).toMatch(/ticket=/)
    expect((await post(answer)).headers.get('location')).toBe('/login?error=sso_expired')
    const other = await begin(world)
    const RelayState = new URL(other.location).searchParams.get('RelayState') ?? ''
    const elsewhere = await post({ ...answer, RelayState })
    expect(elsewhere.headers.get('location')).toBe('/login?error=sso_failed&redirect=%2F')
    const replica = await openReplica(world)
    const http = composeHttp(replica, { checkReplies: true })
    const port = await http.listen(0, '127.0.0.1')
    const action = `http://127.0.0.1:${port}${SSO}/acs`
    expect((await post({ ...answer, action })).headers.get('location')).toBe('/login?error=sso_expired')
    // And one that it has not seen yet is taken there as here.
    const fresh = await answerFor((await begin(world)).location, 'ada')
    const [here, there] = await Promise.all([post(fresh), post({ ...fresh, action })])
    const went = [here, there].map((reply) => reply.headers.get('location')?.includes('ticket='))
    expect(went.sort()).toEqual([false, true])
    await http.close()
    await replica.close()
  })

  test('one that nobody asked for is not even read', async () => {
    const answer = await answerFor((await begin(world)).location, 'ada')
    const warn = vi.spyOn(world.kernel.log, 'warn')
    for (const RelayState of ['', 'unknown', '/fleet', 'x'.repeat(512)]) {
      const reply = await post({ ...answer, RelayState })
      expect([reply.status, reply.headers.get('location')]).toEqual([303, '/login?error=sso_expired'])
    }
    expect(warn).not.toHaveBeenCalled()
  })
})

describe('a user of the provider', () => {
  const sessionOf = async (user: string) => {
    const { token = '' } = fragmentOf(await signIn(world, user))
    return (await world.call('GET', '/wheelhouse/api/v1/session', { as: token })).body
  }

  test('has the roles that its groups are assigned, and loses them with the groups', async () => {
    await world.call('POST', '/api/v1/admin/assignments', { body: { group: 'builders', roles: ['developer'] } })
    idp.user('linus', { attributes: { groups: 'builders' } })
    expect(await sessionOf('linus')).toMatchObject({ roles: ['developer'], principal: { groups: ['builders'] } })
    idp.user('linus', {})
    expect(await sessionOf('linus')).toMatchObject({ roles: ['viewer'], principal: { groups: [] } })
    idp.user('chief', { attributes: { groups: ['ops/admins'] } })
    expect((await sessionOf('chief')).roles).toContain('admin')
    expect(fragmentOf(await signIn(world, 'chief'))['role']).toBe('admin')
  })

  test('that is disabled here is told so', async () => {
    const { principal_id: id = '' } = fragmentOf(await signIn(world, 'mallory'))
    await world.kernel.db.tenant(world.a.id, (tx) => changeUser(tx, world.kernel.clock.now(), id, { disabled: true }))
    const done = await signIn(world, 'mallory', { redirect: '/jobs' })
    expect(done.headers.get('location')).toBe('/login?error=sso_disabled&redirect=%2Fjobs')
    expect(done.headers.getSetCookie().join()).not.toContain('wheelhouse_session=')
  })

  test('is nobody who is here already, by an address that nobody verified or by the name of one', async () => {
    idp.user('double', { attributes: { email: 'admin@alpha.test' } })
    const byAddress = await sessionOf('double')
    expect(byAddress).toMatchObject({ roles: ['viewer'], principal: { email: null } })
    const byName = await sessionOf('admin@alpha.test')
    expect(byName.roles).toEqual(['viewer'])
    expect([byAddress.principal.id, byName.principal.id]).not.toContain(world.a.adminId)
    // Nor is it the user of that name at an OpenID provider that calls itself the same.
    const known = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many<{ issuer: string }>(sql`select distinct issuer from external_identities`),
    )
    expect(known).toEqual([{ issuer: `saml:${idp.issuer}` }])
  })

  test('is signed in no longer than the provider wants', async () => {
    const end = new Date(Date.now() + 120_000).toISOString()
    idp.lie({ edit: (all) => all.replace('SessionIndex=', `SessionNotOnOrAfter="${end}" SessionIndex=`) })
    const cookie = (await signIn(world, 'ada', { session: 'cookie' })).headers.getSetCookie().join()
    expect(Number(/wheelhouse_session=.*Max-Age=(\d+)/.exec(cookie)?.[1])).toBeLessThanOrEqual(120)
  })
})

describe('how it is set up', () => {
  test('the configuration and our metadata say what there is', async () => {
    const { body } = await world.call('GET', '/api/v1/auth/config', { as: null })
    expect(body).toMatchObject({
      saml_enabled: true,
      saml_enterprise: true,
      saml_login_url: `${SSO}/login`,
      saml_metadata_url: `${SSO}/metadata`,
    })
    const metadata = await fetch(`${world.url}${body.saml_metadata_url}`)
    expect(metadata.headers.get('content-type')).toBe('application/samlmetadata+xml')
    const text = await metadata.text()
    expect(text).toContain(`entityID="${world.url}${SSO}/metadata"`)
    expect(text).toContain(`Location="${world.url}${SSO}/acs"`)
    expect(text).toContain('WantAssertionsSigned="true"')
  })

  test('metadata from an address, a trusted address, an id from an attribute; and a login that took too long', async () => {
    const other = await ground.another(
      {
        metadata: idp.issuer,
        trustEmail: true,
        userIdAttribute: 'uid',
        entityId: 'urn:wheelhouse',
        groupsAttribute: 'role',
      },
      true,
    )
    const attributes = { uid: 'u-1', email: 'ADMIN@alpha.test', role: ['one', 'two'] }
    idp.user('boss', { format: TRANSIENT, attributes })
    const { token = '', principal_id: id } = fragmentOf(await signIn(other, 'boss'))
    expect(id).toBe(other.a.adminId)
    const { body } = await other.call('GET', '/wheelhouse/api/v1/session', { as: token })
    expect(body.principal).toMatchObject({ email: 'admin@alpha.test', groups: ['one', 'two'] })
    const late = await begin(other)
    const answer = await answerFor(late.location, 'boss')
    other.clock?.advance(600_001)
    expect((await post(answer)).headers.get('location')).toBe('/login?error=sso_expired')
    await other.kernel.identity.sweep(new AbortController().signal)
    const left = await other.kernel.db.auth((tx) => tx.many(sql`select 1 from login_flows`))
    expect(left).toEqual([])
    await other.close()
    ground.meet()
  })

  test('address, name and certificate by hand; a provider that is away is told', async () => {
    const [certificate = ''] = /(?<=X509Certificate>)[^<]+/.exec(idp.metadata) ?? []
    const pem = join(ground.folder, 'idp.pem')
    writeFileSync(pem, `-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----\n`)
    const entryPoint = new URL('/sso?tenant=one', idp.issuer).href
    const other = await ground.another({ entryPoint, certificate: pem, issuer: idp.issuer })
    expect(fragmentOf(await signIn(other, 'ada'))).toHaveProperty('token')
    await other.close()
    ground.meet()
    const away = await openWorld({ config: (config) => (config.saml.metadata = 'http://127.0.0.1:1/metadata') })
    expect(await away.call('GET', `${SSO}/login`, { as: null })).toMatchObject({ status: 502 })
    await away.close()
  })

  test('without a provider there is no single sign-on', async () => {
    const plain = await openWorld()
    for (const [method, path] of [
      ['GET', 'login'],
      ['POST', 'acs'],
      ['GET', 'session'],
      ['GET', 'metadata'],
    ] as const)
      expect(await plain.call(method, `${SSO}/${path}`, { as: null })).toMatchObject({
        status: 404,
        body: { error: 'sso not configured', status: 404 },
      })
    await plain.close()
  })
})
