import { createHash } from 'node:crypto'
import { base32, publicKeyOf, signerOf, verifySignature } from './nkeys.ts'

/** Publish or subscribe rights inside a NATS JWT. */
export interface Permission {
  allow?: readonly string[]
  deny?: readonly string[]
}

export interface Export {
  name: string
  subject: string
  type: 'service' | 'stream'
  account_token_position?: number
}

export interface Import {
  name: string
  subject: string
  account: string
  local_subject: string
  type: 'service' | 'stream'
  share?: boolean
}

export interface AccountLimits {
  subs: number
  data: number
  payload: number
  imports: number
  exports: number
  wildcards: boolean
  conn: number
  leaf: number
  mem_storage?: number
  disk_storage?: number
  streams?: number
  consumer?: number
  disk_max_stream_bytes?: number
  max_bytes_required?: boolean
}

export interface OperatorClaims {
  type: 'operator'
  version: 2
  system_account: string
}

export interface AccountClaims {
  type: 'account'
  version: 2
  limits: AccountLimits
  exports?: readonly Export[]
  imports?: readonly Import[]
  revocations?: Readonly<Record<string, number>>
  default_permissions: { pub: Permission; sub: Permission }
}

export interface UserClaims {
  type: 'user'
  version: 2
  pub: Permission
  sub: Permission
  subs: number
  data: number
  payload: number
  resp?: { max: number; ttl: number }
  tags?: readonly string[]
}

/** A claim that asks the resolver to delete accounts (platform.md §8.5). */
export interface GenericClaims {
  type: 'generic'
  version: 2
  accounts: readonly string[]
}

export interface Claims<N> {
  jti: string
  iat: number
  iss: string
  sub: string
  name: string
  exp?: number
  nats: N
}

export interface Grant<N> {
  subject: string
  name: string
  /** Seconds since 1970. */
  issuedAt: number
  /** Seconds since 1970; absent = never expires. */
  expires?: number
  nats: N
}

const HEADER = Buffer.from('{"typ":"JWT","alg":"ed25519-nkey"}').toString('base64url')

/** The NATS v2 JWT of a grant, signed by the issuer's seed (platform.md §8.4). Deterministic for equal input. */
export function signJwt<N extends object>(issuer: { publicKey?: string; seed: string }, grant: Grant<N>): string {
  const claims: Claims<N> = {
    jti: '',
    iat: grant.issuedAt,
    iss: issuer.publicKey ?? publicKeyOf(issuer.seed),
    sub: grant.subject,
    name: grant.name,
    ...(grant.expires === undefined ? {} : { exp: grant.expires }),
    nats: grant.nats,
  }
  claims.jti = base32(createHash('sha512-256').update(JSON.stringify(claims)).digest())
  const signed = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${signed}.${signerOf(issuer.seed)(Buffer.from(signed)).toString('base64url')}`
}

/** The claims of a NATS JWT whose signature is its issuer's; undefined when it is not one. Says nothing of trust in the issuer. */
export function readJwt<N>(jwt: string): Claims<N> | undefined {
  const [header, payload, signature, ...rest] = jwt.split('.')
  if (header !== HEADER || payload === undefined || signature === undefined || rest.length > 0) return undefined
  try {
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims<N>
    const signed = Buffer.from(`${header}.${payload}`)
    return verifySignature(claims.iss, signed, Buffer.from(signature, 'base64url')) ? claims : undefined
  } catch {
    return undefined
  }
}
