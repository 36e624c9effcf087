import { join } from 'node:path'
import { signJwt, type AccountClaims, type AccountLimits, type OperatorClaims } from './jwt.ts'
import { newNkey, type Nkey } from './nkeys.ts'

/** The keys by which this installation is the NATS operator. JSON-serialisable; every seed is a secret. */
export interface OperatorKeys {
  /** Signs account JWTs. Beside an external nats-server this may be one of its operator's signing keys. */
  operator: Nkey
  system: Nkey
  platform: Nkey
}

export interface NatsServerOptions {
  /** Interface of both listeners; default 127.0.0.1. */
  host?: string
  /** Client port; 0 or -1 = any free one, which `ports_file_dir` then names. */
  port: number
  /** WebSocket port; 0 or -1 = any free one; absent = no WebSocket listener. */
  wsPort?: number
  /** HTTP monitoring port; absent = none. It has no authentication: keep it on the loopback. */
  monitorPort?: number
  /** JetStream's files. */
  storeDir: string
  /** Account JWTs of the full resolver. */
  jwtDir: string
  serverName: string
  /** Folder for `nats-server_<pid>.ports`, JSON `{nats: [url], websocket: [url]}`, written once the listeners stand. */
  portsFileDir?: string
  maxPayloadBytes?: number
  maxFileBytes?: number
}

/** Limits without bounds and without JetStream (the system account must not carry JetStream limits: stack.md). */
export const OPEN_LIMITS: AccountLimits = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
}

/** New random operator, SYS and PLATFORM keys. Make them once an installation and keep them: all accounts hang on them. */
export function newOperator(): OperatorKeys {
  return { operator: newNkey('operator'), system: newNkey('account'), platform: newNkey('account') }
}

/** The operator's own JWT; it names the system account (stack.md). */
export function operatorJwt(keys: OperatorKeys): string {
  const nats: OperatorClaims = { type: 'operator', version: 2, system_account: keys.system.publicKey }
  return signJwt(keys.operator, { subject: keys.operator.publicKey, name: 'wheelhouse', issuedAt: FOUNDED, nats })
}

/** The JWT of SYS: no JetStream, no exports; only our claims connection lives there. */
export function systemAccountJwt(keys: OperatorKeys): string {
  return accountJwt(keys, keys.system, 'SYS', { limits: OPEN_LIMITS })
}

/** The JWT of PLATFORM: decisions D2's two exports, both with the account's key as second token, and JetStream. */
export function platformAccountJwt(keys: OperatorKeys): string {
  return accountJwt(keys, keys.platform, 'PLATFORM', {
    limits: { ...OPEN_LIMITS, mem_storage: 0, disk_storage: -1, streams: -1, consumer: -1 },
    exports: [
      { name: 'in', subject: 'in.*.>', type: 'service', account_token_position: 2 },
      { name: 'out', subject: 'out.*.>', type: 'stream', account_token_position: 2 },
    ],
  })
}

/**
 * A nats-server configuration (2.9.10 and later) in operator mode with a full resolver that has SYS and PLATFORM preloaded.
 * It holds no seed. The same keys give the same text, so a restart changes nothing.
 */
export function natsServerConfig(keys: OperatorKeys, options: NatsServerOptions): string {
  const host = JSON.stringify(options.host ?? '127.0.0.1')
  const lines = [
    `server_name: ${JSON.stringify(options.serverName)}`,
    `host: ${host}`,
    `port: ${port(options.port)}`,
    `max_payload: ${options.maxPayloadBytes ?? 1_048_576}`,
    `operator: ${JSON.stringify(operatorJwt(keys))}`,
    `system_account: ${JSON.stringify(keys.system.publicKey)}`,
    'resolver: {',
    '  type: full',
    `  dir: ${JSON.stringify(options.jwtDir)}`,
    '  allow_delete: true',
    '  interval: "2m"',
    '  timeout: "2s"',
    '}',
    'resolver_preload: {',
    `  ${keys.system.publicKey}: ${JSON.stringify(systemAccountJwt(keys))}`,
    `  ${keys.platform.publicKey}: ${JSON.stringify(platformAccountJwt(keys))}`,
    '}',
    'jetstream: {',
    `  store_dir: ${JSON.stringify(options.storeDir)}`,
    '  max_mem: 64MB',
    `  max_file: ${options.maxFileBytes ?? 64 * 1024 ** 3}`,
    '}',
  ]
  if (options.wsPort !== undefined)
    lines.push('websocket: {', `  host: ${host}`, `  port: ${port(options.wsPort)}`, '  no_tls: true', '}')
  if (options.monitorPort !== undefined) lines.push(`http: ${JSON.stringify(`127.0.0.1:${port(options.monitorPort)}`)}`)
  if (options.portsFileDir !== undefined) lines.push(`ports_file_dir: ${JSON.stringify(join(options.portsFileDir))}`)
  return `${lines.join('\n')}\n`
}

/** One fixed time of issue keeps the three founding JWTs the same at every start. */
const FOUNDED = 1_700_000_000

function port(value: number): number {
  return value === 0 ? -1 : value
}

function accountJwt(
  keys: OperatorKeys,
  account: Nkey,
  name: string,
  claims: Pick<AccountClaims, 'limits' | 'exports'>,
): string {
  const nats: AccountClaims = { type: 'account', version: 2, default_permissions: { pub: {}, sub: {} }, ...claims }
  return signJwt(keys.operator, { subject: account.publicKey, name, issuedAt: FOUNDED, nats })
}
