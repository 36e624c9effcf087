import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto'
import type { Certificate } from '@wheelhouse/contract/release/agents'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { at, sql, type Tx } from '../../kernel/db/index.ts'
import type { Vault } from '../../kernel/vault/index.ts'
import { refuseBody } from '../resource.ts'
import { der, oidText, pemBody, pemOf, readDer } from './der.ts'

const HOUR_MS = 3_600_000
/** Life of an agent's certificate (release.md §6.4). */
const LIFE_MS = 24 * HOUR_MS
/** From here on a heartbeat brings another (release.md §6.4). */
export const RENEW_MS = 8 * HOUR_MS
const AUTHORITY_MS = 10 * 365 * 24 * HOUR_MS
/** Clocks differ a little: what begins now is valid a minute ago. */
const BACKDATE_MS = 60_000

const OID = {
  ecdsaSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

/** Signature algorithms of requests, and the digest each signs; Ed25519 has none of its own. */
const DIGESTS: Readonly<Record<string, string | undefined>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
}
const ED25519 = '1.3.101.112'

interface Authority {
  certificate: string
  key: string
}

/** The tenant's authority; made at first use, its key sealed. */
async function authorityOf(tx: Tx, vault: Vault, now: Instant): Promise<Authority> {
  const context = `agent authority ${tx.tenantId}`
  const find = () =>
    tx.maybe<{ certificate: string; sealed: string; expiresAt: Instant }>(
      sql`select certificate, sealed_key as sealed, expires_at as "expiresAt" from agent_authorities`,
    )
  const known = await find()
  if (known && known.expiresAt > now + LIFE_MS)
    return { certificate: known.certificate, key: vault.open(known.sealed, context) }
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = pair.publicKey.export({ type: 'spki', format: 'der' })
  const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const name = nameOf('Wheelhouse agents', tx.tenantId)
  const expiresAt = now + AUTHORITY_MS
  const certificate = pemOf(
    'CERTIFICATE',
    issue(
      {
        serial: newSerial(),
        issuer: name,
        subject: name,
        publicKey,
        issuerKey: publicKey,
        from: now,
        until: expiresAt,
        isAuthority: true,
      },
      key,
    ),
  )
  // Of two first registrations one makes it; both use that one.
  await tx.run(sql`
    insert into agent_authorities (tenant_id, certificate, sealed_key, expires_at, created_at)
    values (${tx.tenantId}, ${certificate}, ${vault.seal(key, context)}, ${at(expiresAt)}, ${at(now)})
    on conflict (tenant_id) do update set certificate = excluded.certificate, sealed_key = excluded.sealed_key, expires_at = excluded.expires_at
      where agent_authorities.expires_at <= ${at(now + LIFE_MS)}`)
  const made = await find()
  if (!made) throw new Error('The authority of agents vanished in its own transaction')
  return { certificate: made.certificate, key: vault.open(made.sealed, context) }
}

export interface Issued extends Certificate {
  serial: string
}

/**
 * A client certificate for an agent, for 24 hours. With a request it is for the key that the request proves; the server then never
 * sees the private key. Else for the given key, or for a new one, whose private half is in the answer and kept nowhere.
 */
export async function issueCertificate(
  tx: Tx,
  vault: Vault,
  now: Instant,
  agentId: string,
  wanted: { publicKey?: Buffer } = {},
): Promise<Issued> {
  const authority = await authorityOf(tx, vault, now)
  const own = wanted.publicKey ? undefined : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = wanted.publicKey ?? own?.publicKey.export({ type: 'spki', format: 'der' })
  if (!publicKey) throw new Error('There is no key to certify')
  const serial = newSerial()
  const expiresAt = now + LIFE_MS
  const ca = new X509Certificate(authority.certificate)
  const body = issue(
    {
      serial,
      issuer: nameOf('Wheelhouse agents', tx.tenantId),
      subject: nameOf(agentId, tx.tenantId),
      publicKey,
      issuerKey: ca.publicKey.export({ type: 'spki', format: 'der' }),
      from: now,
      until: expiresAt,
      isAuthority: false,
    },
    authority.key,
  )
  const fingerprint = createHash('sha256').update(body).digest('hex')
  await tx.run(sql`
    insert into agent_certificates (tenant_id, serial, agent_id, fingerprint, public_key, not_before, expires_at)
    values (${tx.tenantId}, ${serial.toString('hex')}, ${agentId}, ${fingerprint}, ${publicKey}, ${at(now - BACKDATE_MS)}, ${at(expiresAt)})`)
  return {
    cert: pemOf('CERTIFICATE', body),
    key: own ? own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() : null,
    ca: authority.certificate,
    expiresAt: iso(expiresAt),
    serial: serial.toString('hex'),
  }
}

/** The public key that a certificate request (PKCS #10) proves to hold. Throws a 400 that names `csr`. */
export function publicKeyOfRequest(csr: string): Buffer {
  try {
    return readRequest(csr)
  } catch (error) {
    const message = error instanceof CsrError ? error.message : 'is not a certificate request'
    return refuseBody({ field: 'csr', message, code: 'format' })
  }
}

class CsrError extends Error {}

function readRequest(csr: string): Buffer {
  const body = pemBody('CERTIFICATE REQUEST', csr)
  if (!body) throw new CsrError('is not a certificate request in PEM')
  const [request] = readDer(body)
  const [info, algorithm, signature] = readDer(request?.body ?? Buffer.alloc(0))
  const [, , spki] = readDer(info?.body ?? Buffer.alloc(0))
  const [oid] = readDer(algorithm?.body ?? Buffer.alloc(0))
  if (!info || !signature || !spki || !oid) throw new CsrError('is not a certificate request')
  const name = oidText(oid.body)
  const digest = DIGESTS[name]
  if (digest === undefined && name !== ED25519) throw new CsrError('is signed with an algorithm that is not taken')
  const key = createPublicKey({ key: Buffer.from(spki.whole), format: 'der', type: 'spki' })
  const { modulusLength = 4096 } = key.asymmetricKeyDetails ?? {}
  if (!['ec', 'ed25519', 'rsa'].includes(key.asymmetricKeyType ?? '') || modulusLength < 2048)
    throw new CsrError('has a key that is not taken: EC, Ed25519 or RSA of at least 2048 bits')
  // The first byte of a bit string counts its unused bits.
  if (!verify(digest ?? null, info.whole, key, signature.body.subarray(1)))
    throw new CsrError('is not signed by the key that it names')
  return Buffer.from(spki.whole)
}

interface Draft {
  serial: Buffer
  issuer: Buffer
  subject: Buffer
  publicKey: Buffer
  issuerKey: Buffer
  from: Instant
  until: Instant
  isAuthority: boolean
}

const algorithm = der.sequence(der.oid(OID.ecdsaSha256))

/** RFC 5280 §4.1, signed. */
function issue(draft: Draft, key: string): Buffer {
  const body = der.sequence(
    der.context(0, der.integer(Buffer.from([2]))),
    der.integer(draft.serial),
    algorithm,
    draft.issuer,
    der.sequence(der.time(new Date(draft.from - BACKDATE_MS)), der.time(new Date(draft.until))),
    draft.subject,
    draft.publicKey,
    der.context(3, der.sequence(...extensions(draft))),
  )
  return der.sequence(body, algorithm, der.bits(sign('sha256', body, key)))
}

function extensions({ publicKey, issuerKey, isAuthority }: Draft): Buffer[] {
  const make = (oid: string, value: Buffer, critical = false): Buffer =>
    der.sequence(der.oid(oid), ...(critical ? [der.boolean(true)] : []), der.octets(value))
  // Bits of key usage from the left: digitalSignature is the first, keyCertSign and cRLSign the sixth and seventh.
  const usage = isAuthority ? der.bits(Buffer.from([0b0000_0110]), 1) : der.bits(Buffer.from([0b1000_0000]), 7)
  return [
    make(
      OID.basicConstraints,
      isAuthority ? der.sequence(der.boolean(true), der.integer(Buffer.from([0]))) : der.sequence(),
      true,
    ),
    make(OID.keyUsage, usage, true),
    ...(isAuthority ? [] : [make(OID.extendedKeyUsage, der.sequence(der.oid(OID.clientAuth)))]),
    make(OID.subjectKeyId, der.octets(keyId(publicKey))),
    make(OID.authorityKeyId, der.sequence(der.context(0, keyId(issuerKey), false))),
  ]
}

const keyId = (publicKey: Buffer): Buffer => createHash('sha256').update(publicKey).digest().subarray(0, 20)

/** Sixteen random bytes, positive and not zero (RFC 5280 §4.1.2.2). */
function newSerial(): Buffer {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  return serial
}

const nameOf = (commonName: string, organization: string): Buffer =>
  der.sequence(
    der.set(der.sequence(der.oid(OID.organization), der.utf8(organization))),
    der.set(der.sequence(der.oid(OID.commonName), der.utf8(commonName))),
  )

/** The agent's certificate that lasts longest, if it has one that counts. */
export const currentCertificate = (
  tx: Tx,
  agentId: string,
): Promise<{ publicKey: Buffer; expiresAt: Instant } | undefined> =>
  tx.maybe<{ publicKey: Buffer; expiresAt: Instant }>(sql`
    select public_key as "publicKey", expires_at as "expiresAt" from agent_certificates
     where agent_id = ${agentId} and revoked_at is null order by expires_at desc limit 1`)

export const revokeCertificates = (tx: Tx, agentId: string, now: Instant): Promise<number> =>
  tx.run(sql`update agent_certificates set revoked_at = ${at(now)} where agent_id = ${agentId} and revoked_at is null`)
