import { platform } from '@wheelhouse/contract/platform/index'
import manifest from '../../../package.json' with { type: 'json' }
import { pause } from '../../kernel/clock/index.ts'
import { type RequestFacts, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

const PROBE_MS = 2000
/** Results of a probe may be that old (platform.md §2). */
const KEEP_MS = 2000

interface Component {
  status: 'ok' | 'error'
  detail?: string
}

/** platform.md §2: what anybody may know. */
export const routes = (kernel: Kernel) => {
  const { bus, clock, config, readiness } = kernel
  let probed: { at: number; nats: Component; messaging: Component } | undefined

  async function probe() {
    if (probed && clock.now() - probed.at < KEEP_MS && probed.nats.status === 'ok' && probed.messaging.status === 'ok')
      return probed
    const late = pause(PROBE_MS).then(() => false)
    const [connected, usable] = await Promise.all([
      Promise.race([
        bus.ping().then(
          () => true,
          () => false,
        ),
        late,
      ]),
      Promise.race([bus.jetStreamUsable(), late]),
    ])
    const part = (up: boolean, detail: string): Component => (up ? { status: 'ok' } : { status: 'error', detail })
    return (probed = {
      at: clock.now(),
      nats: part(connected, 'The server does not answer'),
      messaging: part(usable, 'JetStream does not answer'),
    })
  }

  return serve('platform', platform.open, {
    ping: () => ({ message: 'pong' as const }),
    async health({ reply }) {
      const { nats, messaging } = await probe()
      const isFine = nats.status === 'ok' && messaging.status === 'ok'
      if (!isFine) reply.status(503)
      return {
        status: isFine ? ('ok' as const) : ('degraded' as const),
        version: manifest.version,
        components: { nats, messaging },
        uptimeSeconds: Math.floor(process.uptime()),
        ...(isFine ? {} : { error: 'degraded' as const }),
      }
    },
    async ready({ reply, request }) {
      const reasons = request.signal.aborted ? ['shutting down'] : await readiness.reasons()
      if (reasons.length === 0) return { ready: true }
      reply.status(503)
      return { ready: false, error: 'not ready' as const, reasons: [...reasons] }
    },
    symphonyinfo({ request }) {
      const { naming, oidc } = config
      return {
        name: naming.product,
        short: naming.short,
        version: manifest.version,
        ...natsAddresses(kernel, request),
        byline: naming.byline,
        bootstrap: false,
        ...(naming.supportContact === undefined ? {} : { supportContact: naming.supportContact }),
        ...(kernel.oidc
          ? {
              oidc: {
                issuer: kernel.oidc.issuer,
                clientid: kernel.oidc.clientId,
                uiclientid: oidc.uiClientId ?? kernel.oidc.clientId,
              },
            }
          : {}),
      }
    },
  })
}

/** Browsers come by the host that they know us by: TLS for both ends at the same proxy (platform.md §18.4). */
function natsAddresses({ config, natsUrls }: Kernel, request: RequestFacts): { nats: string; natsClient: string } {
  const own = config.publicUrl === undefined ? undefined : new URL(config.publicUrl)
  const host = own?.hostname ?? hostOf(request.header('host')) ?? config.host
  const client = new URL(natsUrls.client)
  const isElsewhere = config.natsUrl !== undefined
  const socketPort = natsUrls.webSocket === undefined ? config.natsWsPort : Number(new URL(natsUrls.webSocket).port)
  return {
    nats: `${own?.protocol === 'https:' ? 'wss' : 'ws'}://${host}:${socketPort}`,
    natsClient: isElsewhere ? natsUrls.client : `nats://${host}:${client.port === '' ? '4222' : client.port}`,
  }
}

function hostOf(header: string | undefined): string | undefined {
  return header !== undefined && URL.canParse(`http://${header}`) ? new URL(`http://${header}`).hostname : undefined
}
