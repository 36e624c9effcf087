import { Type, type Static, type TSchemaOptions } from 'typebox'

/** What a setting says of itself beside its schema. */
export interface SettingNotes {
  description: string
  /** The environment variable; absent = `WHEELHOUSE_` and the path in capitals. */
  env?: string
  /** Further variables that are read when `env` is not set: mostly those of the reference systems. The first non-empty wins. */
  synonyms?: readonly string[]
  /** Never printed. */
  secret?: true
  /** How text becomes a value: `url` adds a missing `https://`, `duration` reads `24h`, `90s`, `7d` into milliseconds, `path` is resolved against the working folder, `path-or-url` too unless it is an http or https address. */
  kind?: 'url' | 'duration' | 'path' | 'path-or-url'
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
const MIB = 1024 * 1024

const note = (description: string, notes: Omit<SettingNotes, 'description'> & TSchemaOptions = {}) => ({
  description,
  ...notes,
})

const text = (description: string, notes: Omit<SettingNotes, 'description'> & { default: string; pattern?: string }) =>
  Type.String({ maxLength: 4096, ...note(description, notes) })
const optionalText = (description: string, notes: Omit<SettingNotes, 'description'> & { pattern?: string } = {}) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 8192, ...note(description, notes) }))
const flag = (description: string, value: boolean, notes: Omit<SettingNotes, 'description'> = {}) =>
  Type.Boolean({ ...note(description, notes), default: value })
const list = (description: string, notes: Omit<SettingNotes, 'description'> = {}) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
    maxItems: 1000,
    ...note(description, notes),
    default: [],
  })
const port = (description: string, value: number) =>
  Type.Integer({ minimum: 0, maximum: 65_535, ...note(description), default: value })
const optionalPort = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, ...note(description) }))
const duration = (
  description: string,
  value: number,
  notes: Omit<SettingNotes, 'description' | 'kind'> & { minimum?: number } = {},
) => Type.Integer({ minimum: 1000, ...note(description, notes), kind: 'duration', default: value })
const bytes = (description: string, value: number, synonyms: readonly string[] = []) =>
  Type.Integer({ minimum: 1024, maximum: 1024 * MIB, ...note(description, { synonyms }), default: value })
const count = (description: string, value: number, synonyms: readonly string[] = []) =>
  Type.Integer({ minimum: 1, maximum: 1_000_000, ...note(description, { synonyms }), default: value })

/** Every setting there is. A leaf's path is its key in `wheelhouse.yaml`; flag and variable follow from it. */
export const ConfigSchema = Type.Object({
  dataDir: text('Folder of everything that this installation keeps. Two servers never share one.', {
    default: './data',
    kind: 'path',
  }),
  host: text('Interface of all listeners. Open to other machines, use TLS or a proxy.', {
    default: '127.0.0.1',
  }),
  port: port('Main listener: console and all surfaces. 0 takes a free one.', 8080),
  grpcPort: port('gRPC listener. 0 takes a free one.', 50_051),
  natsPort: port('Client port of the managed nats-server. 0 takes a free one.', 4222),
  natsWsPort: port('WebSocket port of the managed nats-server. 0 takes a free one.', 9222),
  fleetPort: optionalPort('Listener of the fleet surface alone; off unless set.'),
  jobsPort: optionalPort('Listener of the jobs surface alone; off unless set.'),
  extensionsPort: optionalPort('Listener that serves extensions’ pages from an origin of their own; off unless set.'),
  publicUrl: optionalText('How users reach the main listener, when a proxy stands before it.', {
    kind: 'url',
    synonyms: ['EXTERNAL_HOSTNAME'],
  }),
  databaseUrl: optionalText('PostgreSQL 15 or later to use instead of the managed one. Its user owns the schema.', {
    env: 'DATABASE_URL',
    synonyms: ['WHEELHOUSE_DATABASE_URL'],
    secret: true,
    pattern: '^postgres(ql)?://',
  }),
  natsUrl: optionalText('nats-server in operator mode to use instead of the managed one.', {
    env: 'NATS_URL',
    synonyms: ['WHEELHOUSE_NATS_URL', 'CORDUM_NATS_URL'],
    pattern: '^(nats|tls|wss?)://',
  }),
  natsOperatorFile: optionalText(
    'Operator, system and platform keys (JSON) for `natsUrl`. Default `secrets/operator.json` in the data folder.',
    { kind: 'path' },
  ),
  redisUrl: optionalText('Redis for rate limits and tickets shared by replicas, and for `redis://` pointers.', {
    env: 'REDIS_URL',
    synonyms: ['WHEELHOUSE_REDIS_URL', 'CORDUM_REDIS_URL'],
    secret: true,
    pattern: '^rediss?://',
  }),
  redisPointersTenant: optionalText(
    'Slug of the one tenant whose workers read contexts from that Redis and leave results in it themselves, as workers of the reference do.',
    { pattern: '^[a-z0-9][a-z0-9-]{0,62}$' },
  ),
  vaultKey: optionalText(
    'The vault’s root key, 64 hexadecimal digits. Default: one made in the data folder at first start.',
    {
      synonyms: ['SECRET_VAULT_KEY'],
      secret: true,
      pattern: '^[0-9a-fA-F]{64}$',
    },
  ),
  roles: Type.Array(Type.Enum(['api', 'engine', 'ingest'] as const), {
    minItems: 1,
    maxItems: 3,
    ...note('What this replica does: answers requests, drives jobs, takes in metrics and logs.'),
    default: ['api', 'engine', 'ingest'],
  }),
  admin: Type.Object({
    email: text('Address of the first administrator, used at the first start only.', {
      default: 'admin@wheelhouse.local',
      pattern: '^[^@\\s]+@[^@\\s]+$',
      synonyms: ['CORDUM_ADMIN_EMAIL'],
    }),
    username: text('User name of the first administrator, used at the first start only.', {
      default: 'admin',
      synonyms: ['CORDUM_ADMIN_USERNAME'],
    }),
    password: optionalText('Password of the first administrator (at least 12 characters); made when absent.', {
      synonyms: ['CORDUM_ADMIN_PASSWORD'],
      secret: true,
      pattern: '^[\\s\\S]{12,}$',
    }),
  }),
  agent: Type.Object({
    enabled: flag('Run the agent of this host as a child.', true),
    requireCertificate: flag('Demand a client certificate of release agents.', false),
    systemKey: optionalText('Shared key that fleet agents of the reference system present.', {
      synonyms: ['SINDRI_CONSOLE_API_KEY'],
      secret: true,
    }),
  }),
  tls: Type.Object({
    cert: optionalText('Certificate chain (PEM file) of the HTTP listeners.', { kind: 'path' }),
    key: optionalText('Private key (PEM file) of the HTTP listeners.', { kind: 'path' }),
    clientCa: optionalText('Authority (PEM file) whose client certificates agents may present.', { kind: 'path' }),
  }),
  grpcTls: Type.Object({
    cert: optionalText('Certificate chain (PEM file) of the gRPC listener.', {
      kind: 'path',
      synonyms: ['GRPC_TLS_CERT'],
    }),
    key: optionalText('Private key (PEM file) of the gRPC listener.', { kind: 'path', synonyms: ['GRPC_TLS_KEY'] }),
  }),
  cors: Type.Object({
    origins: list('Origins of other sites whose pages may call us; the same list guards WebSocket upgrades.', {
      synonyms: ['CORDUM_ALLOWED_ORIGINS', 'CORDUM_CORS_ALLOW_ORIGINS', 'CORS_ALLOW_ORIGINS'],
    }),
    loopback: flag('Also allow pages served from this machine (localhost, 127.0.0.1, ::1).', true),
  }),
  traces: Type.Object({
    endpoint: optionalText(
      'OpenTelemetry collector that takes spans by OTLP over HTTP, such as `http://127.0.0.1:4318`. Absent: none are sent.',
      {
        kind: 'url',
        synonyms: ['OTEL_EXPORTER_OTLP_ENDPOINT'],
      },
    ),
    headers: optionalText('Headers for the collector: `name=value,name=value`.', {
      secret: true,
      synonyms: ['OTEL_EXPORTER_OTLP_HEADERS'],
    }),
    serviceName: text('Name under which the spans of this replica are shown.', {
      default: 'wheelhouse',
      synonyms: ['OTEL_SERVICE_NAME'],
    }),
  }),
  trustedProxies: list(
    'Addresses or CIDR ranges whose forwarding headers count. Empty: the socket’s peer is the client.',
  ),
  egress: Type.Object({
    allow: list('Host names, addresses or CIDR ranges in private networks that outbound calls may reach.'),
  }),
  oidc: Type.Object({
    issuer: optionalText('OpenID provider; absent = none.', { kind: 'url', synonyms: ['OIDC_ISSUER'] }),
    clientId: optionalText('Client of API and CLI at the provider.', { synonyms: ['OIDC_CLIENTID'] }),
    clientSecret: optionalText('Its secret, when it has one.', { synonyms: ['OIDC_CLIENTSECRET'], secret: true }),
    uiClientId: optionalText('Client of the console; default: `oidc.clientId`.', { synonyms: ['OIDC_UICLIENTID'] }),
    uiClientSecret: optionalText('Its secret, when it has one.', { synonyms: ['OIDC_UICLIENTSECRET'], secret: true }),
    groupsClaim: text('Claim that holds the names of a user’s groups.', { default: 'groups' }),
    adminGroup: optionalText('Members of this group become administrators.'),
    defaultRole: text('Role of a user whose groups match nothing.', { default: 'viewer' }),
    tlsSkipVerify: flag('Do not check the provider’s certificate. For tests alone.', false, {
      synonyms: ['OIDC_TLS_SKIP_VERIFY'],
    }),
  }),
  saml: Type.Object({
    metadata: optionalText(
      'What the SAML provider says of itself: a file, or the https address to fetch it from. Absent, and no `saml.entryPoint`: no SAML.',
      { kind: 'path-or-url' },
    ),
    entryPoint: optionalText('In place of metadata: where the provider takes requests (HTTP-Redirect).', {
      pattern: '^https?://',
    }),
    certificate: optionalText('In place of metadata: the certificates that the provider signs with (PEM file).', {
      kind: 'path',
    }),
    issuer: optionalText('Entity ID of the provider; needed without metadata, or where they describe several.'),
    entityId: optionalText(
      'Our own entity ID. Default: the address of our metadata, `/api/v1/auth/sso/saml/metadata`.',
    ),
    userIdAttribute: optionalText(
      'Attribute that names a user for good. Default: the NameID, which must not be transient.',
    ),
    emailAttribute: text('Attribute that holds a user’s e-mail address.', { default: 'email' }),
    nameAttribute: text('Attribute that holds a user’s name as it is shown.', { default: 'displayName' }),
    groupsAttribute: text('Attribute that holds the names of a user’s groups or roles.', { default: 'groups' }),
    adminGroup: optionalText('Members of this group become administrators.'),
    trustEmail: flag(
      'The provider vouches for addresses: who comes with the address of a user here is that user.',
      false,
    ),
  }),
  naming: Type.Object({
    product: text('Name of the product as pages show it.', { default: 'Wheelhouse' }),
    short: text('Short name.', { default: 'Wheelhouse' }),
    byline: text('Line under the name on the login page.', {
      default: 'One control plane for machines, releases and the work of people and agents',
    }),
    supportContact: optionalText('Whom users ask for help.'),
  }),
  rateLimits: Type.Object({
    scale: Type.Number({
      minimum: 0.01,
      maximum: 1_000_000,
      ...note('Multiplies every documented rate limit. Benchmarks raise it.'),
      default: 1,
    }),
    releaseTier: Type.Enum(['standard', 'premium'] as const, {
      ...note('Tier of tenants of the release surface that have none of their own.'),
      default: 'standard',
    }),
    jobsPerSecond: count('Requests a second of one tenant on the jobs surface.', 50, ['API_RATE_LIMIT_RPS']),
    jobsBurst: count('Burst of the same.', 100, ['API_RATE_LIMIT_BURST']),
    jobsPublicPerSecond: count('Requests a second of one address on the public paths of the jobs surface.', 50, [
      'API_PUBLIC_RATE_LIMIT_RPS',
    ]),
    jobsPublicBurst: count('Burst of the same.', 100, ['API_PUBLIC_RATE_LIMIT_BURST']),
  }),
  sessions: Type.Object({
    ttlMs: duration('Life of a session.', 24 * HOUR, { synonyms: ['CORDUM_AUTH_SESSION_TTL', 'CORDUM_SESSION_TTL'] }),
    idleMs: duration('A session that is not used this long ends.', 8 * HOUR),
    fleetTtlMs: duration('Life of a session cookie of the fleet surface.', 7 * DAY),
    tokenTtlMs: duration('Life of a signed access token (JWT).', HOUR),
  }),
  bodyLimits: Type.Object({
    defaultBytes: bytes('Largest request body.', MIB, ['GATEWAY_MAX_BODY_BYTES']),
    jobBytes: bytes('Largest body of a job submission.', 2 * MIB, ['GATEWAY_MAX_JOB_PAYLOAD_BYTES']),
    templateBytes: bytes('Largest body of a release workflow template.', 2 * MIB),
    bundleBytes: bytes('Largest upload of an extension’s bundle.', MIB),
    artifactBytes: bytes('Largest artifact.', 256 * MIB, ['ARTIFACT_MAX_BYTES']),
  }),
  log: Type.Object({
    level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const, {
      ...note('Least severe log line that is written.'),
      default: 'info',
    }),
  }),
  policy: Type.Object({
    default: Type.Enum(['allow', 'deny'] as const, {
      ...note('Decision of the policy that the first start loads, where none of its rules matches.'),
      default: 'allow',
    }),
    file: optionalText('Policy file (YAML) loaded at the first start instead of the built-in one.', {
      kind: 'path',
      synonyms: ['SAFETY_POLICY_PATH'],
    }),
  }),
  packs: Type.Object({
    catalog: Type.Object({
      id: text('Catalogue of packs that tenants without a list of their own see: its id.', {
        default: 'official',
        synonyms: ['CORDUM_PACK_CATALOG_ID'],
      }),
      title: text('Its title.', { default: 'Official', synonyms: ['CORDUM_PACK_CATALOG_TITLE'] }),
      url: optionalText('Where it is fetched from; absent = there is none, and nothing is fetched.', {
        kind: 'url',
        synonyms: ['CORDUM_PACK_CATALOG_URL'],
      }),
      disabled: flag('Do not offer it although it is set.', false, {
        synonyms: ['CORDUM_PACK_CATALOG_DEFAULT_DISABLED'],
      }),
    }),
  }),
  retention: Type.Object({
    metricsMs: duration('Raw metric points.', 7 * DAY),
    metricsHourlyMs: duration('Hourly roll-ups of metrics.', 30 * DAY),
    metricsDailyMs: duration('Daily roll-ups of metrics.', 365 * DAY),
    heartbeatsMs: duration('Heartbeats.', 7 * DAY),
    logsMs: duration('Log lines.', 30 * DAY),
    eventsMs: duration('Events.', 90 * DAY),
    auditMs: duration('Audit trail; sealed segments are exported before they drop.', 365 * DAY),
    jobsMs: duration('Jobs with attempts, decisions, context and results, after their end.', 30 * DAY),
    workflowVersions: count(
      'Newest versions of each workflow. Beside them stay those that a run names which is kept, and the current one.',
      100,
    ),
    deadLettersMs: duration('Dead letters.', 30 * DAY),
    artifactsShortMs: duration('Artifacts of class `short`.', DAY, { synonyms: ['ARTIFACT_TTL_SHORT'] }),
    artifactsStandardMs: duration('Artifacts of class `standard`.', 7 * DAY, { synonyms: ['ARTIFACT_TTL_STANDARD'] }),
    artifactsAuditMs: duration('Artifacts of class `audit`.', 30 * DAY, { synonyms: ['ARTIFACT_TTL_AUDIT'] }),
    webhooksMs: duration('Deliveries of webhooks.', 30 * DAY),
    idempotencyMs: duration('Remembered idempotency keys of the release and native surfaces.', DAY),
    idempotencyJobsMs: duration('Remembered idempotency keys of the jobs surface.', 7 * DAY),
  }),
})

/** The configuration of one server. Durations are milliseconds, sizes bytes, paths absolute. */
export type Config = Static<typeof ConfigSchema>
