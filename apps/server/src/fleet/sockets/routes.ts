import { fleet } from '@wheelhouse/contract/fleet/index'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { CommandVerb } from '../commands/verb.ts'
import { attachTerminal } from '../terminals/socket.ts'
import { openHub } from './hub.ts'
import { openMetricStream } from './metric-stream.ts'

/** The sockets of the fleet surface (fleet.md §3.6, §3.16). */
export const routes = (kernel: Kernel, verb: CommandVerb) =>
  serve('fleet', fleet.sockets, {
    hub: ({ principal }) => openHub(kernel, verb, principal),
    hubInstances: ({ principal }) => openHub(kernel, verb, principal),
    hubFleet: ({ principal }) => openHub(kernel, verb, principal),
    metricStream: ({ principal, query }) => openMetricStream(kernel, principal, query.instanceId),
    agent: ({ principal, request }) => {
      const instanceHint = request.header('x-instance-id')
      return (socket) =>
        kernel.agents.accept(socket, principal, {
          remoteAddress: request.ip,
          ...(instanceHint === undefined ? {} : { instanceHint }),
        })
    },
    terminal: ({ principal, params }) => attachTerminal(kernel, principal, params.sessionId),
  })
