import { lookup } from 'node:dns/promises'
import { type IncomingHttpHeaders, type IncomingMessage, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { connect as plainConnect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls'
import { Fault } from '@wheelhouse/contract'
import { type AddressRules, addressRules, isPublic } from './addresses.ts'

const TIMEOUT_MS = 30_000
const MAX_BYTES = 10 * 1024 * 1024
const MAX_REDIRECTS = 5

/** Keys and trust of one connection; host names are always checked unless `rejectUnauthorized` is false. */
export type TlsOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized' | 'servername'>

interface Bounds {
  /** Of the whole call, redirects and body included. Default 30 s. */
  timeoutMs?: number
  signal?: AbortSignal
  /** Hosts, addresses and ranges that the caller's own object was approved for, beside `egress.allow`. */
  approved?: readonly string[]
  tls?: TlsOptions
}

export interface FetchOptions extends Bounds {
  method?: string
  headers?: Readonly<Record<string, string>>
  body?: string | Buffer
  /** Of the reply's body; default 10 MiB. */
  maxBytes?: number
  /** Default 5; 0 hands the redirect itself back. */
  maxRedirects?: number
  /** A local socket to speak HTTP over; only when `egress.allow` names it as `unix:///path`. */
  socketPath?: string
}

export interface EgressReply {
  status: number
  headers: IncomingHttpHeaders
  /** The last address, after redirects. */
  url: string
  body: Buffer
  text(): string
  /** Throws EGRESS_FAILED where the body is no JSON. */
  json(): unknown
}

export interface ConnectOptions extends Bounds {
  host: string
  port: number
  /** TLS from the first byte. */
  secure?: boolean
}

/**
 * The only way out (decisions D9). A name is resolved once and the connection goes to that very address, so that a name that changes
 * its mind reaches nothing else; each redirect is judged anew. Addresses that are not public are refused unless named.
 * Throws EGRESS_REFUSED where it may not, EGRESS_FAILED (`reason`: dns, connect, tls, timeout, protocol, redirect, too_large) where it cannot.
 */
export interface Egress {
  /** One HTTP exchange. Any status is a reply; only the lack of one throws. */
  fetch(url: string, options?: FetchOptions): Promise<EgressReply>
  /** An open TCP or TLS connection; the caller ends it. */
  connect(options: ConnectOptions): Promise<Socket>
}

export function openEgress(allow: readonly string[]): Egress {
  const installation = addressRules(allow)

  /** The first address of the host that may be called. */
  async function judge(host: string, approved: readonly string[] | undefined): Promise<Address> {
    const own = approved ? addressRules(approved) : undefined
    const found = await resolve(host)
    const usable = found.find(({ address }) => mayReach({ host, address }, installation, own))
    if (usable) return usable
    throw new Fault(
      'EGRESS_REFUSED',
      { host },
      { message: `${host} is not on the public internet; an administrator can allow it (egress.allow)` },
    )
  }

  async function exchange(url: URL, options: FetchOptions, signal: AbortSignal): Promise<IncomingMessage> {
    const { socketPath } = options
    if (socketPath !== undefined) {
      if (!installation.allowsSocket(socketPath))
        throw new Fault(
          'EGRESS_REFUSED',
          { socketPath },
          { message: `The socket ${socketPath} is not allowed (egress.allow: unix://${socketPath})` },
        )
      return send(url, options, { socketPath }, signal)
    }
    const host = bareHost(url)
    const address = await judge(host, options.approved)
    return send(url, options, { lookup: pinned(address) }, signal)
  }

  return {
    async fetch(target, options = {}) {
      let url = readUrl(target)
      let sent: FetchOptions = options
      const signal = bound(options)
      const limit = options.maxRedirects ?? MAX_REDIRECTS
      for (let hop = 0; ; hop++) {
        const response = await exchange(url, sent, signal).catch((error: unknown) => failed(url.hostname, error))
        const status = response.statusCode ?? 0
        const next = limit > 0 ? redirectOf(status, response.headers.location, url) : undefined
        if (!next) return await readReply(response, url, options.maxBytes ?? MAX_BYTES)
        response.destroy()
        if (hop >= limit) refuseRedirect(url, 'too many redirects')
        if (url.protocol === 'https:' && next.protocol !== 'https:') refuseRedirect(url, 'a redirect away from TLS')
        sent = redirected(sent, status, next.origin === url.origin)
        url = next
      }
    },
    async connect(options) {
      const { host, port, secure = false } = options
      const { address } = await judge(host, options.approved)
      return await open(host, address, port, secure, options).catch((error: unknown) => failed(host, error))
    },
  }
}

interface Address {
  address: string
  family: number
}

const mayReach = (reach: { host: string; address: string }, installation: AddressRules, own?: AddressRules): boolean =>
  isPublic(reach.address) || installation.allows(reach) || own?.allows(reach) === true

async function resolve(host: string): Promise<Address[]> {
  const family = isIP(host)
  if (family !== 0) return [{ address: host, family }]
  return await lookup(host, { all: true }).catch((error: unknown) => failed(host, error))
}

type Lookup = (
  host: string,
  options: { all?: boolean },
  done: (error: Error | null, address: string | Address[], family?: number) => void,
) => void

/** Answers every question about the name with the one address that was judged. */
const pinned =
  (found: Address): Lookup =>
  (_host, { all }, done) =>
    all ? done(null, [found]) : done(null, found.address, found.family)

function readUrl(text: string): URL {
  if (URL.canParse(text)) {
    const url = new URL(text)
    if (url.protocol === 'http:' || url.protocol === 'https:') return url
  }
  throw new Fault('EGRESS_REFUSED', { url: text.slice(0, 200) }, { message: 'Only http and https can be called' })
}

const bareHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '')

const bound = ({ timeoutMs = TIMEOUT_MS, signal }: Bounds): AbortSignal => {
  const timeout = AbortSignal.timeout(timeoutMs)
  return signal ? AbortSignal.any([timeout, signal]) : timeout
}

function send(
  url: URL,
  options: FetchOptions,
  way: { socketPath: string } | { lookup: Lookup },
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { method = 'GET', headers = {}, body } = options
  return new Promise((fulfil, reject) => {
    const make = url.protocol === 'https:' ? tlsRequest : plainRequest
    const request = make(
      url,
      {
        ...way,
        ...options.tls,
        method,
        // Fresh connections: a kept one could outlive the judgement of its address.
        agent: false,
        headers: {
          'user-agent': 'wheelhouse',
          'accept-encoding': 'identity',
          ...headers,
          ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
        },
        signal,
        maxHeaderSize: 32 * 1024,
      },
      fulfil,
    )
    request.once('error', reject)
    request.end(body)
  })
}

function redirectOf(status: number, location: string | undefined, from: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return undefined
  if (!URL.canParse(location, from)) return refuseRedirect(from, 'a redirect to nowhere')
  return readUrl(new URL(location, from).href)
}

/** What any server may be told. Every other header may carry a credential, whatever its name: it is for whom the caller named alone. */
const FOR_ANYONE = /^(accept|accept-language|content-encoding|content-type|traceparent|user-agent)$/i

/** What goes on to the next hop: what is not for anyone stays at home, and a form that was answered is fetched, not sent again. */
function redirected(options: FetchOptions, status: number, sameOrigin: boolean): FetchOptions {
  const { body, socketPath: _local, tls, ...rest } = options
  const becomesGet = status === 303 || ((status === 301 || status === 302) && options.method === 'POST')
  const headers = Object.fromEntries(
    Object.entries(options.headers ?? {}).filter(
      ([name]) => (sameOrigin || FOR_ANYONE.test(name)) && (!becomesGet || !/^content-/i.test(name)),
    ),
  )
  return {
    ...rest,
    headers,
    ...(becomesGet ? { method: 'GET' } : body === undefined ? {} : { body }),
    ...(sameOrigin && tls ? { tls } : {}),
  }
}

function refuseRedirect(url: URL, reason: string): never {
  throw new Fault('EGRESS_FAILED', { host: url.hostname, reason: 'redirect' }, { message: `${url.host}: ${reason}` })
}

async function readReply(response: IncomingMessage, url: URL, maxBytes: number): Promise<EgressReply> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxBytes)
        throw new Fault(
          'EGRESS_FAILED',
          { host: url.hostname, reason: 'too_large', maxBytes },
          { message: `${url.host} answered more than ${maxBytes} bytes` },
        )
      chunks.push(chunk)
    }
  } catch (error) {
    response.destroy()
    failed(url.hostname, error)
  }
  const body = Buffer.concat(chunks)
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    url: url.href,
    body,
    text: () => body.toString('utf8'),
    json() {
      try {
        return JSON.parse(body.toString('utf8')) as unknown
      } catch (error) {
        throw new Fault(
          'EGRESS_FAILED',
          { host: url.hostname, reason: 'protocol' },
          { message: `${url.host} did not answer with JSON`, cause: error },
        )
      }
    },
  }
}

function open(host: string, address: string, port: number, secure: boolean, options: Bounds): Promise<Socket> {
  const signal = bound(options)
  return new Promise((fulfil, reject) => {
    const socket = secure
      ? tlsConnect({ ...options.tls, host: address, port, servername: options.tls?.servername ?? nameOf(host) })
      : plainConnect({ host: address, port })
    const end = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      reject(error)
    }
    const onAbort = (): void => end(signal.reason)
    if (signal.aborted) return end(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', end)
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', onAbort)
      socket.off('error', end)
      fulfil(socket)
    })
  })
}

/** TLS knows no addresses as server names. */
const nameOf = (host: string): string => (isIP(host) === 0 ? host : '')

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''

function reasonOf(error: unknown): string {
  const code = codeOf(error)
  const name = error instanceof Error ? error.name : ''
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.name : ''
  if (name === 'TimeoutError' || cause === 'TimeoutError' || code === 'ETIMEDOUT') return 'timeout'
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) return 'dns'
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(code)) return 'tls'
  if (code.startsWith('HPE_')) return 'protocol'
  return 'connect'
}

/** A failure of the network in our words; the cause stays for the log. */
function failed(host: string, error: unknown): never {
  if (error instanceof Fault) throw error
  const reason = reasonOf(error)
  const words: Record<string, string> = {
    timeout: 'did not answer in time',
    dns: 'is not known by name',
    tls: 'could not be trusted or did not speak TLS',
    protocol: 'did not speak HTTP',
    connect: 'could not be reached',
  }
  const code = codeOf(error)
  throw new Fault(
    'EGRESS_FAILED',
    { host, reason, ...(code === '' ? {} : { code }) },
    { message: `${host} ${words[reason] ?? 'failed'}${code === '' ? '' : ` (${code})`}`, cause: error },
  )
}
