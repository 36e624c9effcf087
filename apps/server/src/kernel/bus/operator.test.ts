import { connect, jwtAuthenticator } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startNats, type NatsFixture } from '../../testing/nats.ts'
import { readJwt, signJwt, type AccountClaims, type UserClaims } from './jwt.ts'
import { isPublicKey, newNkey, publicKeyOf, signerOf, verifySignature } from './nkeys.ts'
import { natsServerConfig, newOperator, operatorJwt, platformAccountJwt } from './operator.ts'

function userOf(account: { publicKey: string; seed: string }) {
  const user = newNkey('user')
  const nats: UserClaims = { type: 'user', version: 2, pub: {}, sub: {}, subs: -1, data: -1, payload: -1 }
  const jwt = signJwt(account, { subject: user.publicKey, name: 'test', issuedAt: 1_700_000_000, nats })
  return jwtAuthenticator(jwt, new TextEncoder().encode(user.seed))
}

describe('keys', () => {
  test('have the letters of their kind, and the seed leads back to the public key', () => {
    for (const [kind, letter] of [
      ['operator', 'O'],
      ['account', 'A'],
      ['user', 'U'],
    ] as const) {
      const key = newNkey(kind)
      expect(key.publicKey).toMatch(new RegExp(`^${letter}[A-Z2-7]{55}$`))
      expect(key.seed).toMatch(new RegExp(`^S${letter}[A-Z2-7]{56}$`))
      expect(publicKeyOf(key.seed)).toBe(key.publicKey)
      expect(isPublicKey(key.publicKey, kind)).toBe(true)
    }
  })

  test('of another kind, with a wrong checksum or from elsewhere are no public keys', () => {
    const { publicKey, seed } = newNkey('account')
    expect(isPublicKey(publicKey, 'user')).toBe(false)
    expect(
      isPublicKey(publicKey.slice(0, 10) + (publicKey[10] === 'A' ? 'B' : 'A') + publicKey.slice(11), 'account'),
    ).toBe(false)
    expect(isPublicKey('ABC', 'account')).toBe(false)
    expect(isPublicKey(seed, 'account')).toBe(false)
    expect(() => publicKeyOf(publicKey)).toThrow('not a NATS seed')
  })

  test('sign what their public key verifies, and nothing else', () => {
    const key = newNkey('user')
    const signature = signerOf(key.seed)(Buffer.from('hello'))
    expect(verifySignature(key.publicKey, Buffer.from('hello'), signature)).toBe(true)
    expect(verifySignature(key.publicKey, Buffer.from('hellO'), signature)).toBe(false)
  })
})

describe('founding JWTs', () => {
  const keys = newOperator()

  test('survive JSON and are the same at every start', () => {
    const again = JSON.parse(JSON.stringify(keys)) as typeof keys
    const options = { port: 4222, storeDir: '/s', jwtDir: '/j', serverName: 'one' }
    expect(natsServerConfig(again, options)).toBe(natsServerConfig(keys, options))
  })

  test('never put a seed into the server configuration', () => {
    const text = natsServerConfig(keys, { port: 4222, wsPort: 9222, storeDir: '/s', jwtDir: '/j', serverName: 'one' })
    for (const { seed } of Object.values(keys)) expect(text).not.toContain(seed)
  })

  test('are refused by the reader after a change of one letter', () => {
    const jwt = platformAccountJwt(keys)
    expect(readJwt<AccountClaims>(jwt)?.nats.exports).toHaveLength(2)
    const [header = '', payload = '', signature = ''] = jwt.split('.')
    const forged = Buffer.from(Buffer.from(payload, 'base64url').toString().replace('PLATFORM', 'PLATFURM')).toString(
      'base64url',
    )
    expect(readJwt(`${header}.${forged}.${signature}`)).toBeUndefined()
    expect(readJwt(operatorJwt(keys))?.iss).toBe(keys.operator.publicKey)
  })
})

describe('a real nats-server with that configuration', () => {
  let nats: NatsFixture
  beforeAll(async () => (nats = await startNats()))
  afterAll(() => nats.stop())

  test('accepts a user of PLATFORM and gives it JetStream', async () => {
    const connection = await connect({ servers: nats.url, authenticator: userOf(nats.keys.platform) })
    const info = await connection.request('$JS.API.INFO', '', { timeout: 2000 })
    expect(info.json<{ error?: unknown; limits?: { max_streams: number } }>()).toMatchObject({
      limits: { max_streams: -1 },
    })
    await connection.close()
  })

  test('answers the claims subjects to a user of SYS', async () => {
    const connection = await connect({ servers: nats.url, authenticator: userOf(nats.keys.system) })
    const list = await connection.request('$SYS.REQ.CLAIMS.LIST', '', { timeout: 2000 })
    expect(list.json<{ data: string[] }>().data.sort()).toEqual(
      [nats.keys.platform.publicKey, nats.keys.system.publicKey].sort(),
    )
    await connection.close()
  })

  test('refuses a user whose account the operator never signed', async () => {
    await expect(
      connect({
        servers: nats.url,
        authenticator: userOf(newNkey('account')),
        reconnect: false,
        reconnectTimeWait: 10,
      }),
    ).rejects.toThrow(/Authorization/)
  })

  test('refuses a connection without credentials, on the WebSocket listener too', async () => {
    await expect(connect({ servers: nats.url, reconnect: false, reconnectTimeWait: 10 })).rejects.toThrow(
      /Authorization/,
    )
    const socket = new WebSocket(nats.wsUrl)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', () => reject(new Error('the WebSocket listener does not answer')))
    })
    socket.close()
  })

  test('comes back on the same ports after it was killed', async () => {
    await nats.kill()
    await nats.restart()
    const connection = await connect({ servers: nats.url, authenticator: userOf(nats.keys.platform) })
    await connection.close()
  })
})
