import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jsonb, sql } from '../../kernel/db/index.ts'
import { startProvider, type TestProvider } from '../../testing/oidc.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let provider: TestProvider
beforeAll(async () => {
  provider = await startProvider()
  world = await openWorld({
    config(config) {
      config.oidc.issuer = provider.issuer
      config.oidc.clientId = provider.clientId
      config.oidc.adminGroup = '/ops/admins'
      // The provider's own host needs no exception: the operator named it.
      config.egress.allow = []
    },
  })
  await world.kernel.db.auth((tx) =>
    tx.run(
      sql`insert into installation (key, value) values ('first_tenant', ${jsonb(world.a.id)}), ('admin_subject', ${jsonb('admin@alpha.test')})`,
    ),
  )
})
afterAll(async () => {
  await world.close()
  await provider.close()
})

const trade = (token: string) => world.call('GET', '/api/v1/usertoken', { as: token })

describe('a token of the provider', () => {
  test('becomes a user token; the user, its account and its groups are there from then on', async () => {
    provider.user('ada', {
      name: 'Ada',
      email: 'ada@example.test',
      email_verified: true,
      groups: ['/team/data', 'all'],
    })
    const traded = await trade(await provider.idToken('ada'))
    expect(traded).toMatchObject({ status: 200, body: { subject: 'ada' } })
    expect(traded.body.account).toMatch(/^A[A-Z2-7]{55}$/)
    expect(traded.headers.get('cache-control')).toBe('no-store')
    expect(Date.parse(traded.body.expires)).toBeLessThanOrEqual(Date.now() + 601_000)
    const info = await world.call('GET', '/api/v1/userinfo', { as: traded.body.token })
    expect(info).toMatchObject({
      status: 200,
      body: {
        subject: 'ada',
        name: 'Ada',
        email: 'ada@example.test',
        groups: ['all', 'team/data'],
        roles: ['viewer'],
        admin: false,
        bootstrap: false,
        account: traded.body.account,
        organization: world.a.slug,
      },
    })
    expect(await world.call('GET', '/api/v1/roles', { as: traded.body.token })).toMatchObject({
      status: 200,
      body: {
        roles: ['viewer'],
        permissions: {
          pub: { allow: ['cirata.services.storage.get', 'cirata.services.storage.list', 'cirata.services.config.get'] },
          sub: { allow: ['cirata.extensions.>'] },
        },
        extensions: '*',
        admin: false,
      },
    })
  })

  test('many times at once ends with one user and one account', async () => {
    provider.user('grace', { name: 'Grace' })
    const token = await provider.idToken('grace')
    const traded = await Promise.all(Array.from({ length: 8 }, () => trade(token)))
    expect(new Set(traded.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(traded.map(({ body }) => body.account)).size).toBe(1)
  })

  test('gives the roles that its groups are assigned, and takes them with the groups', async () => {
    const assigned = await world.call('POST', '/api/v1/admin/assignments', {
      body: { group: '/team/builders', roles: ['developer', 'approver'] },
    })
    expect(assigned).toMatchObject({ status: 200, body: { group: '/team/builders', roles: ['approver', 'developer'] } })
    provider.user('linus', { groups: 'team/builders' })
    const first = await trade(await provider.idToken('linus'))
    const roles = () => world.call('GET', '/api/v1/roles', { as: first.body.token })
    expect((await roles()).body.roles).toEqual(['approver', 'developer'])
    provider.user('linus', { groups: [] })
    const second = await trade(await provider.idToken('linus'))
    expect((await world.call('GET', '/api/v1/roles', { as: second.body.token })).body.roles).toEqual(['viewer'])
    await expect.poll(async () => (await roles()).body.roles).toEqual(['viewer'])
  })

  test('of the administrators’ group makes an administrator, who keeps everything open', async () => {
    provider.user('root', { groups: ['ops/admins'] })
    const { body } = await trade(await provider.idToken('root'))
    expect(await world.call('GET', '/api/v1/roles', { as: body.token })).toMatchObject({
      body: {
        roles: expect.arrayContaining(['symphony-admin']),
        admin: true,
        extensions: '*',
        permissions: { pub: { allow: ['>'] } },
      },
    })
    expect(await world.call('GET', '/api/v1/admin/user/root/roles', { as: body.token })).toMatchObject({
      status: 200,
      body: { subject: 'root', groups: ['ops/admins'], admin: true },
    })
  })

  test('leads to the user with the same address only when the address is verified', async () => {
    provider.user('same-unverified', { email: 'admin@alpha.test', email_verified: false })
    const unverified = await trade(await provider.idToken('same-unverified'))
    expect((await world.call('GET', '/api/v1/userinfo', { as: unverified.body.token })).body.subject).toBe(
      'same-unverified',
    )
    provider.user('same', { email: 'admin@alpha.test', email_verified: true })
    const verified = await trade(await provider.idToken('same'))
    expect((await world.call('GET', '/api/v1/userinfo', { as: verified.body.token })).body).toMatchObject({
      subject: 'admin@alpha.test',
      admin: true,
    })
  })

  test('of a frozen user is refused like a wrong one', async () => {
    provider.user('mallory', {})
    const token = await provider.idToken('mallory')
    const { body } = await trade(token)
    const [user] = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many<{ id: string }>(sql`select id from principals where subject = 'mallory'`),
    )
    await world.kernel.identity.freezePrincipal(world.a.id, user?.id ?? '')
    expect(await trade(token)).toMatchObject({ status: 401, body: { error: 'Unauthorized' } })
    expect(await world.call('GET', '/api/v1/userinfo', { as: body.token })).toMatchObject({ status: 401 })
  })
})

test('nothing else is traded: keys, forged and foreign tokens, tokens of another audience or algorithm', async () => {
  const { privateKey } = await generateKeyPair('RS256')
  const forged = (claims: object, alg = 'RS256', key: CryptoKey | Uint8Array = privateKey) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg, kid: 'k' }).setExpirationTime('5m').sign(key)
  const right = { iss: provider.issuer, aud: provider.clientId, sub: 'ada' }
  const tokens = [
    world.a.keys.admin,
    'nonsense',
    await forged(right),
    await forged(right, 'HS256', new TextEncoder().encode('secret-secret-secret-secret-secret')),
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(right)).toString('base64url')}.`,
    (await world.kernel.tokens.issue(await world.principal(world.a.keys.admin), 60_000)).token,
  ]
  for (const token of tokens)
    expect([token, await trade(token)]).toMatchObject([token, { status: 401, body: { error: 'Unauthorized' } }])
  expect(await world.call('GET', '/api/v1/usertoken', { as: null })).toMatchObject({ status: 401 })
  // And a token of the provider is good for nothing but the trade.
  expect(await world.call('GET', '/api/v1/userinfo', { as: await provider.idToken('ada') })).toMatchObject({
    status: 401,
  })
})

test('audience, issuer and time count, with a minute of leeway; unknown keys are fetched again, but not for everybody', async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  let fetched = 0
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] }
  const server = createServer((request, response) => {
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const isKeys = request.url === '/keys'
    if (isKeys) fetched += 1
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(isKeys ? keys : { issuer: `${issuer}/`, jwks_uri: `${issuer}/keys` }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { openOidc } = await import('../../kernel/sso/index.ts')
  const { openEgress } = await import('../../kernel/egress/index.ts')
  const oidc = openOidc({
    config: {
      issuer,
      clientId: 'api',
      uiClientId: 'ui',
      groupsClaim: 'groups',
      defaultRole: 'viewer',
      tlsSkipVerify: false,
    },
    egress: openEgress([]),
    clock: { now: () => Date.now() },
  })
  const token = (claims: object, kid = 'one', exp = Math.floor(Date.now() / 1000) + 60) =>
    new SignJWT({ iss: `${issuer}/`, aud: 'api', sub: 's', exp, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid })
      .sign(privateKey)
  const now = Math.floor(Date.now() / 1000)
  try {
    await expect(oidc?.verify(await token({}))).resolves.toMatchObject({ subject: 's', groups: [] })
    await expect(oidc?.verify(await token({ aud: ['other', 'ui'] }))).resolves.toMatchObject({ subject: 's' })
    await expect(oidc?.verify(await token({ aud: 'other', azp: 'ui' }))).resolves.toMatchObject({ subject: 's' })
    await expect(oidc?.verify(await token({}, 'one', now - 30))).resolves.toMatchObject({ subject: 's' })
    await expect(oidc?.verify(await token({}, 'one', now - 90))).rejects.toMatchObject({ code: 'AUTH_TOKEN_EXPIRED' })
    await expect(oidc?.verify(await token({ nbf: now + 300 }))).rejects.toMatchObject({ code: 'AUTH_TOKEN_INVALID' })
    await expect(oidc?.verify(await token({ aud: 'other' }))).rejects.toMatchObject({ code: 'AUTH_TOKEN_INVALID' })
    await expect(oidc?.verify(await token({ iss: 'http://elsewhere' }))).rejects.toMatchObject({
      code: 'AUTH_TOKEN_INVALID',
    })
    for (let i = 0; i < 5; i++)
      await expect(oidc?.verify(await token({}, `unknown-${i}`))).rejects.toMatchObject({ code: 'AUTH_TOKEN_INVALID' })
    expect(fetched).toBe(1)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
