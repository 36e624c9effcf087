import { setTimeout as delay } from 'node:timers/promises'
import type { AgentConfig } from './config.ts'
import type { Host } from './host.ts'
import { apiUrl } from './link.ts'
import { messageOf } from './log.ts'
import type { Log } from './log.ts'

const TRIES = 5
const TRY_MS = 15_000
const FIRST_WAIT_MS = 2_000

/**
 * Registers the instance (fleet.md 3.16): 5 tries with waits of 2, 4, 8 and 16 s; any 2xx and 409 count as done. False when all failed
 * or the server refused for good; the agent connects all the same, for the server may know it already.
 */
export async function register(
  config: AgentConfig,
  host: Host,
  version: string,
  log: Log,
  signal: AbortSignal,
): Promise<boolean> {
  for (let attempt = 1; attempt <= TRIES && !signal.aborted; attempt++) {
    const failure = await tryOnce(config, host, version, signal)
    if (failure === undefined) return true
    log.warn('registration failed', { attempt, error: failure.message })
    if (!failure.retriable || attempt === TRIES) return false
    await delay(FIRST_WAIT_MS * 2 ** (attempt - 1), undefined, { signal }).catch(() => {})
  }
  return false
}

async function tryOnce(
  config: AgentConfig,
  host: Host,
  version: string,
  signal: AbortSignal,
): Promise<{ message: string; retriable: boolean } | undefined> {
  const body = {
    instance_id: config.instanceId,
    hostname: host.hostname,
    provider: config.provider,
    region: config.region,
    agent_version: version,
    os: host.os,
    arch: host.arch,
    ...(Object.keys(config.labels).length > 0 && { tags: config.labels }),
    timestamp: new Date().toISOString(),
  }
  try {
    const response = await fetch(apiUrl(config.url, '/api/v1/instances'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${config.token}`,
        'x-agent-version': version,
      },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]),
    })
    await response.body?.cancel()
    if (response.ok || response.status === 409) return undefined
    const retriable = response.status >= 500 || response.status === 429 || response.status === 408
    return { message: `the server answered ${response.status}`, retriable }
  } catch (error) {
    const cause = error instanceof Error && error.cause ? `: ${messageOf(error.cause)}` : ''
    return { message: `${messageOf(error)}${cause}`, retriable: true }
  }
}
