import { Fault } from '@wheelhouse/contract'
import type { HealthCheck } from '@wheelhouse/contract/release/shapes'
import type { Connection, HealthReport, HealthStatus } from '@wheelhouse/contract/release/targets'
import type { Egress, FetchOptions } from '../../kernel/egress/index.ts'

/** One thing that was looked at. What is vital decides between degraded and unhealthy. */
export interface Check {
  name: string
  ok: boolean
  message?: string
  vital?: boolean
}

/** Where and how long a probe may look. */
export interface Probe {
  egress: Egress
  timeoutMs: number
  signal: AbortSignal
}

/** Healthy when all is well, unhealthy when something vital is not, unknown when nothing was looked at. */
export function statusOf(checks: readonly Check[]): HealthStatus {
  if (checks.length === 0) return 'unknown'
  if (checks.every(({ ok }) => ok)) return 'healthy'
  return checks.some(({ ok, vital }) => !ok && vital) ? 'unhealthy' : 'degraded'
}

export const shownChecks = (checks: readonly Check[]): HealthReport['checks'] =>
  checks.map(({ name, ok, message }) => ({ name, ok, ...(message === undefined ? {} : { message }) }))

/** Looks, and turns what kept it from looking into a check that failed; defects pass. */
export async function attempt(name: string, look: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await look()
  } catch (error) {
    if (error instanceof Fault && error.status < 500) return [{ name, ok: false, vital: true, message: error.message }]
    if (error instanceof Fault && error.code === 'EGRESS_FAILED')
      return [{ name, ok: false, vital: true, message: error.message }]
    throw error
  }
}

const fetchOptions = ({ timeoutMs, signal }: Probe, rest: FetchOptions = {}): FetchOptions => ({
  timeoutMs,
  signal,
  maxRedirects: 0,
  maxBytes: 1024 * 1024,
  ...rest,
})

/** The Docker Engine API behind an address that the server itself may call. */
export async function probeDocker(
  probe: Probe,
  { endpoint, tls, apiVersion }: Connection<'docker_host'>,
): Promise<Check[]> {
  const { base, socketPath } = dockerAddress(endpoint, tls !== undefined)
  const keyRef = tls?.keyRef
  if (keyRef !== undefined && isReference(keyRef)) return [unresolved('tls.keyRef')]
  const trust = tls ? { ca: tls.ca, cert: tls.cert, key: keyRef, rejectUnauthorized: tls.verify !== false } : undefined
  return attempt('connect', async () => {
    const reply = await probe.egress.fetch(
      `${base}/_ping`,
      fetchOptions(probe, { ...(socketPath === undefined ? {} : { socketPath }), ...(trust ? { tls: trust } : {}) }),
    )
    const isEngine = reply.status === 200 && reply.text().startsWith('OK')
    const checks: Check[] = [
      { name: 'connect', ok: true },
      {
        name: 'ping',
        ok: isEngine,
        vital: true,
        ...(isEngine ? {} : { message: `GET /_ping answered ${reply.status}` }),
      },
    ]
    const offered = reply.headers['api-version']
    if (isEngine && apiVersion !== undefined && typeof offered === 'string') {
      const ok = versionOrder(offered) >= versionOrder(apiVersion)
      checks.push({ name: 'api-version', ok, message: `the engine speaks ${offered}, ${apiVersion} is asked for` })
    }
    return checks
  })
}

/** Endpoints that an agent alone can open: sockets and pipes of its own machine. */
export const isLocalDocker = (endpoint: string): boolean => /^(unix|npipe|ssh):/.test(endpoint)

function dockerAddress(endpoint: string, secure: boolean): { base: string; socketPath?: string } {
  if (endpoint.startsWith('unix://')) return { base: 'http://docker', socketPath: endpoint.slice('unix://'.length) }
  const base = endpoint.replace(/^tcp:/, secure ? 'https:' : 'http:').replace(/\/+$/, '')
  return { base }
}

const versionOrder = (text: string): number => {
  const [major = 0, minor = 0] = text.split('.').map(Number)
  return major * 1000 + minor
}

/** A Nomad server, and whether it has the job. */
export const probeNomad = (probe: Probe, { address, namespace, job }: Connection<'nomad_job'>): Promise<Check[]> =>
  attempt('connect', async () => {
    const base = address.replace(/\/+$/, '')
    const leader = await probe.egress.fetch(`${base}/v1/status/leader`, fetchOptions(probe))
    const hasLeader = leader.status === 200 && leader.text().length > 4
    const checks: Check[] = [
      { name: 'connect', ok: true },
      { name: 'leader', ok: hasLeader, vital: true, ...(hasLeader ? {} : { message: `answered ${leader.status}` }) },
    ]
    if (!hasLeader) return checks
    const url = `${base}/v1/job/${encodeURIComponent(job)}?namespace=${encodeURIComponent(namespace)}`
    const found = await probe.egress.fetch(url, fetchOptions(probe))
    const ok = found.status === 200
    return [
      ...checks,
      { name: 'job', ok, vital: true, ...(ok ? {} : { message: `GET ${job} answered ${found.status}` }) },
    ]
  })

const BANNER_BYTES = 4096

/** An SSH server says its name first (RFC 4253 §4.2), whoever connects. */
export const probeSsh = (probe: Probe, { host, port, connectionTimeout }: Connection<'ssh_host'>): Promise<Check[]> =>
  attempt('connect', async () => {
    const timeoutMs = Math.min(probe.timeoutMs, connectionTimeout * 1000)
    const socket = await probe.egress.connect({ host, port, timeoutMs, signal: probe.signal })
    try {
      const banner = await readBanner(socket, AbortSignal.any([probe.signal, AbortSignal.timeout(timeoutMs)]))
      const ok = banner !== undefined
      const message = banner ?? 'what answers there is no SSH server'
      return [
        { name: 'connect', ok: true },
        { name: 'banner', ok, vital: true, message },
      ]
    } finally {
      socket.destroy()
    }
  })

/** The line `SSH-2.0-…`, which other lines may precede; undefined when it does not come. */
async function readBanner(socket: NodeJS.ReadableStream, signal: AbortSignal): Promise<string | undefined> {
  let said = ''
  const stop = (): void => void (socket as unknown as { destroy(): void }).destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    for await (const chunk of socket) {
      said += String(chunk)
      const banner = /^SSH-(?:2\.0|1\.99)-[^\r\n]*/m.exec(said)
      if (banner && /[\r\n]/.test(said.slice(banner.index))) return banner[0].slice(0, 255)
      if (said.length > BANNER_BYTES) return undefined
    }
  } catch {
    // A connection that breaks before it has said its name has said nothing.
  } finally {
    signal.removeEventListener('abort', stop)
  }
  return undefined
}

/** The WS-Management service of a Windows host: it answers, and asks who is there. */
export async function probeWinrm(probe: Probe, { host, port, useTls }: Connection<'winrm_host'>): Promise<Check[]> {
  const name = host.includes(':') ? `[${host}]` : host
  const url = `${useTls ? 'https' : 'http'}://${name}:${port}/wsman`
  const ask = async (rejectUnauthorized: boolean): Promise<Check[]> => {
    const { status } = await probe.egress.fetch(url, fetchOptions(probe, { tls: { rejectUnauthorized } }))
    const ok = [200, 401, 405].includes(status)
    return [
      { name: 'connect', ok: true },
      { name: 'wsman', ok, vital: true, ...(ok ? {} : { message: `answered ${status}` }) },
    ]
  }
  return attempt('connect', async () => {
    try {
      return await ask(true)
    } catch (error) {
      if (!(error instanceof Fault) || error.details?.['reason'] !== 'tls') throw error
      // Certificates that nobody signed are usual there: the service may be well, its name is not proved. Nothing is sent to it.
      return [...(await ask(false)), { name: 'tls', ok: false, message: error.message }]
    }
  })
}

/** The check that the target itself asks for, where it has a port of its own (release.md §20.3). */
export async function probeService(probe: Probe, host: string, check: HealthCheck): Promise<Check[]> {
  const { type, port, path = '/', expectedStatus, timeout } = check
  if (port === undefined || (type !== 'http' && type !== 'tcp')) return []
  const timeoutMs = Math.min(probe.timeoutMs, timeout * 1000)
  const checks = await attempt('service', async () => {
    if (type === 'tcp') {
      const socket = await probe.egress.connect({ host, port, timeoutMs, signal: probe.signal })
      socket.destroy()
      return [{ name: 'service', ok: true }]
    }
    const name = host.includes(':') ? `[${host}]` : host
    const { status } = await probe.egress.fetch(`http://${name}:${port}${path}`, { ...fetchOptions(probe), timeoutMs })
    const ok = expectedStatus ? expectedStatus.includes(status) : status >= 200 && status < 400
    return [{ name: 'service', ok, message: `GET ${path} answered ${status}` }]
  })
  // The place is there; what runs on it is not well.
  return checks.map((each) => ({ ...each, vital: false }))
}

const isReference = (secret: string): boolean => /^(vault|secret):/.test(secret)

const unresolved = (member: string): Check => ({
  name: 'credentials',
  ok: false,
  vital: true,
  message: `${member} refers to a secret store that is not connected; give the key itself, and it is kept sealed`,
})

/** A place in memory does what its labels say (release.md §20.6). */
export async function probeMemory(
  labels: Readonly<Record<string, string>>,
  wait: (ms: number) => Promise<void>,
): Promise<Check[]> {
  const delayMs = Number(labels['sim.delayMs'] ?? 0)
  if (delayMs > 0) await wait(delayMs)
  const fails = labels['sim.fail'] === 'health'
  return [{ name: 'simulated', ok: !fails, vital: true, ...(fails ? { message: 'sim.fail=health' } : {}) }]
}
