import { describe, expect, test } from 'vitest'
import { readJwt, type UserClaims } from './jwt.ts'
import { newNkey } from './nkeys.ts'
import { accountKindOf, capabilityProblems, mintUser, type UserGrant } from './users.ts'

const account = newNkey('account')
const grant = (over: Partial<UserGrant>): UserGrant => ({
  keyId: 'key-1',
  kind: 'user',
  mayCancel: false,
  issuedAt: 1_800_000_000,
  pub: {},
  sub: {},
  ...over,
})
const claims = (over: Partial<UserGrant>) => readJwt<UserClaims>(mintUser(account, grant(over)).jwt)

describe('the account of a key', () => {
  test.each([
    [['job.a'], [], 'tenant'],
    [[], ['worker.w1.jobs'], 'tenant'],
    [['sys.heartbeat'], [], 'tenant'],
    [[], ['job.> pool'], 'tenant'],
    [['cirata.extensions.x.>'], ['jobs.mine', '>'], 'user'],
    [[], [], 'user'],
  ])('pub %j sub %j: %s', (pub, sub, kind) =>
    expect(accountKindOf({ pub: { allow: pub }, sub: { allow: sub } })).toBe(kind),
  )
})

describe('a key of a user account', () => {
  test('holds the automatic subjects beside the asked ones, and the creator’s denials', () => {
    const made = claims({
      pub: { allow: ['cirata.services.storage.>'], deny: ['cirata.services.storage.secret'] },
      expires: 1_800_000_300,
    })
    expect(made?.nats.pub.allow).toEqual(
      expect.arrayContaining([
        'cirata.services.storage.>',
        '_INBOX.>',
        '$SYS.REQ.USER.INFO',
        '$JS.>',
        '$KV.>',
        '$O.>',
        '$SRV.>',
      ]),
    )
    expect(made?.nats.pub.deny).toEqual(['cirata.services.storage.secret'])
    expect(made?.nats.sub.allow).toEqual(
      expect.arrayContaining(['_INBOX.>', '$SRV.>', '$KV.>', 'cirata.symphony.events.>']),
    )
    expect(made).toMatchObject({ exp: 1_800_000_300, iss: account.publicKey, name: 'key-1' })
  })

  test('cannot name what workers hear', () => {
    expect(() => mintUser(account, grant({ sub: { allow: ['job.>'] } }))).toThrow(
      expect.objectContaining({ code: 'VAL_PATTERN' }),
    )
  })
})

describe('a key of a tenant account', () => {
  const asked = { kind: 'tenant', pub: { allow: ['sys.job.result'] }, sub: { allow: ['job.> pool'] } } as const

  test('holds exactly what was asked, an inbox of its own and the reply subjects', () => {
    const made = claims(asked)
    expect(made?.nats.pub.allow).toEqual(['sys.job.result', '_WH.reply.>'])
    expect(made?.nats.sub.allow).toEqual(['job.> pool', '_INBOX_key-1.>'])
    expect(mintUser(account, grant(asked)).inboxPrefix).toBe('_INBOX_key-1')
  })

  test('is never allowed to dispatch, to touch JetStream or, without the right, to cancel', () => {
    expect(claims(asked)?.nats.pub.deny).toEqual(
      expect.arrayContaining(['job.>', 'worker.>', 'sys.job.cancel', '$JS.>', '$KV.>', '$O.>']),
    )
    expect(claims({ ...asked, mayCancel: true })?.nats.pub.deny).not.toContain('sys.job.cancel')
  })

  test('may not ask for JetStream subjects by name', () => {
    for (const subject of ['$JS.API.INFO', '$KV.extensions.a', '$O.x', '$JS.>'])
      expect(capabilityProblems({ pub: { allow: ['job.x', subject] }, sub: {} })).toEqual([
        expect.stringContaining('not in the tenant account'),
      ])
  })
})

test('no key carries a dynamic right to answer, and none may ask for reserved subjects', () => {
  for (const kind of ['user', 'tenant'] as const) expect(claims({ kind })?.nats).not.toHaveProperty('resp')
  for (const subject of ['_WH.reply.>', '_INBOX_other.>', '_R_.x'])
    expect(capabilityProblems({ pub: {}, sub: { allow: [subject] } })).toEqual([expect.stringContaining('reserved')])
  expect(capabilityProblems({ pub: { allow: ['_INBOX.>'] }, sub: { allow: ['_INBOX.>'] } })).toEqual([])
})

test('invalid patterns are named with their side', () => {
  expect(capabilityProblems({ pub: { allow: ['a..b'], deny: ['c d'] }, sub: { allow: ['x y z'] } })).toHaveLength(3)
})

test('keeps the user key it is given', () => {
  const user = newNkey('user')
  expect(mintUser(account, grant({ user }))).toMatchObject({
    publicKey: user.publicKey,
    seed: user.seed,
    account: account.publicKey,
  })
})
