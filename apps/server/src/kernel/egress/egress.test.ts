import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcp, type Server as TcpServer } from 'node:net'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { isPublic } from './addresses.ts'
import { addressRules, openEgress } from './index.ts'

const servers: (Server | TcpServer)[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
})

async function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  return (server.address() as AddressInfo).port
}

const local = openEgress(['127.0.0.0/8'])

describe('addresses', () => {
  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.100.100.200',
    '168.63.129.16',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1%eth0',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'ff02::1',
    'not an address',
  ])('%s is not public', (address) => {
    expect(isPublic(address)).toBe(false)
  })

  test.each(['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '::ffff:1.1.1.1'])(
    '%s is public',
    (address) => {
      expect(isPublic(address)).toBe(true)
    },
  )

  test('exceptions name ranges, addresses, hosts and everything below a host', () => {
    const rules = addressRules([
      '10.0.0.0/8',
      '::1',
      'build.internal',
      '*.corp.example',
      'unix:///run/x.sock',
      '10.0.0.0/99',
    ])
    expect(rules.allows({ host: '10.9.9.9', address: '10.9.9.9' })).toBe(true)
    expect(rules.allows({ host: 'x', address: '::ffff:10.0.0.1' })).toBe(true)
    expect(rules.allows({ host: '11.0.0.1', address: '11.0.0.1' })).toBe(false)
    expect(rules.allows({ host: 'localhost', address: '::1' })).toBe(true)
    expect(rules.allows({ host: 'BUILD.internal.', address: '192.168.0.9' })).toBe(true)
    expect(rules.allows({ host: 'a.corp.example', address: '192.168.0.9' })).toBe(true)
    expect(rules.allows({ host: 'evilcorp.example', address: '192.168.0.9' })).toBe(false)
    expect(rules.allowsSocket('/run/x.sock')).toBe(true)
    expect(rules.allowsSocket('/run/y.sock')).toBe(false)
  })
})

describe('fetch', () => {
  test('calls an allowed address and hands back status, headers and body', async () => {
    const port = await listen((request, response) => {
      response.writeHead(418, { 'x-seen': String(request.headers['x-sent']) }).end('{"a":1}')
    })
    const reply = await local.fetch(`http://127.0.0.1:${port}/x`, { headers: { 'x-sent': 'yes' } })
    expect(reply.status).toBe(418)
    expect(reply.headers['x-seen']).toBe('yes')
    expect(reply.json()).toEqual({ a: 1 })
  })

  test('refuses loopback by name, by address and in disguise unless it is named', async () => {
    const port = await listen((_request, response) => response.end('secret'))
    const egress = openEgress([])
    for (const host of ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', '0'])
      await expect(egress.fetch(`http://${host}:${port}/`)).rejects.toMatchObject({ code: 'EGRESS_REFUSED' })
    await expect(egress.connect({ host: '127.1', port })).rejects.toMatchObject({ code: 'EGRESS_REFUSED' })
    await expect(egress.fetch('file:///etc/passwd')).rejects.toMatchObject({ code: 'EGRESS_REFUSED' })
    expect((await egress.fetch(`http://127.0.0.1:${port}/`, { approved: ['127.0.0.1'] })).text()).toBe('secret')
  })

  test('judges each redirect anew and leaves credentials at home', async () => {
    const other = await listen((request, response) => response.end(JSON.stringify(request.headers)))
    const port = await listen((request, response) => {
      if (request.url === '/home') return response.end(JSON.stringify(request.headers))
      const to = { '/far': 'http://192.168.77.77/', '/own': '/home' }[request.url ?? ''] ?? `http://127.0.0.1:${other}/`
      return response.writeHead(302, { location: to }).end()
    })
    const headers = { authorization: 'Bearer x', 'x-signature': 'of the sender', accept: 'text/plain' }
    const seen = (await local.fetch(`http://127.0.0.1:${port}/near`, { headers })).json()
    expect(seen).toMatchObject({ accept: 'text/plain' })
    expect(seen).not.toHaveProperty('authorization')
    expect(seen).not.toHaveProperty('x-signature')
    expect((await local.fetch(`http://127.0.0.1:${port}/own`, { headers })).json()).toMatchObject(headers)
    await expect(local.fetch(`http://127.0.0.1:${port}/far`)).rejects.toMatchObject({ code: 'EGRESS_REFUSED' })
    expect((await local.fetch(`http://127.0.0.1:${port}/far`, { maxRedirects: 0 })).status).toBe(302)
  })

  test('ends a circle of redirects, a flood and a silence', async () => {
    const port = await listen((request, response) => {
      if (request.url === '/circle') response.writeHead(307, { location: '/circle' }).end()
      else if (request.url === '/flood') response.end('x'.repeat(5000))
    })
    const at = (path: string) => `http://127.0.0.1:${port}${path}`
    await expect(local.fetch(at('/circle'))).rejects.toMatchObject({ details: { reason: 'redirect' } })
    await expect(local.fetch(at('/flood'), { maxBytes: 1000 })).rejects.toMatchObject({
      details: { reason: 'too_large' },
    })
    await expect(local.fetch(at('/silence'), { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'EGRESS_FAILED',
      details: { reason: 'timeout' },
    })
  })

  test('speaks over a local socket only when its path is named', async () => {
    const path = join(tmpdir(), `wh-egress-${process.pid}.sock`)
    rmSync(path, { force: true })
    const server = createServer((_request, response) => response.end('OK'))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(path, () => resolve()))
    await expect(local.fetch('http://docker/_ping', { socketPath: path })).rejects.toMatchObject({
      code: 'EGRESS_REFUSED',
    })
    expect((await openEgress([`unix://${path}`]).fetch('http://docker/_ping', { socketPath: path })).text()).toBe('OK')
  })

  test('says why nothing came back', async () => {
    const gone = await listen(() => undefined)
    await new Promise((resolve) => servers.pop()?.close(resolve))
    await expect(local.fetch(`http://127.0.0.1:${gone}/`)).rejects.toMatchObject({
      code: 'EGRESS_FAILED',
      details: { reason: 'connect', code: 'ECONNREFUSED' },
    })
    await expect(local.fetch('http://nowhere.invalid/')).rejects.toMatchObject({ details: { reason: 'dns' } })
  })
})

test('connects to a port and reads what it says first', async () => {
  const server = createTcp((socket) => socket.end('SSH-2.0-test\r\n'))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const socket = await local.connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  let said = ''
  for await (const chunk of socket) said += String(chunk)
  expect(said).toBe('SSH-2.0-test\r\n')
})
