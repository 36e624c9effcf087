import type { KeyObject } from 'node:crypto'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { contract } from '@wheelhouse/contract'
import { type BusPacket, BusPacketSchema } from '@wheelhouse/contract/proto/cap_pb'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { createClient } from './client.ts'
import { signPacket } from './worker-signature.ts'

/** What a nats-server takes from one user: the credential of an API key, already traded. */
export interface NatsCredentials {
  jwt: string
  seed: string
  inboxPrefix?: string
}

export interface BusOptions {
  id: string
  url?: string | undefined
  token?: string | undefined
  natsUrl?: string | undefined
  credentials?: NatsCredentials | undefined
}

type Payload = NonNullable<MessageInitShape<typeof BusPacketSchema>['payload']>

/**
 * A connection to the bus that comes back by itself for ever. With an API key and the server's URL the key is traded for a credential,
 * anew whenever the connection was lost, and the bus's address is asked for.
 */
export async function openBus({ id, url, token, natsUrl, credentials }: BusOptions): Promise<NatsConnection> {
  const api = url === undefined ? undefined : createClient(contract, { url, token: () => token })
  const trade = async (): Promise<NatsCredentials | undefined> =>
    api && token !== undefined ? api.platform.session.apikey({}) : undefined
  let held = credentials ?? (await trade())
  const servers = natsUrl ?? (api ? (await api.platform.open.symphonyinfo({})).natsClient : undefined)
  if (servers === undefined || servers === '')
    throw new Error('The worker does not know where the bus is: give it url or natsUrl')
  const connection = await connect({
    servers,
    name: id,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    ignoreAuthErrorAbort: true,
    ...(held
      ? {
          authenticator: jwtAuthenticator(
            () => held?.jwt ?? '',
            () => new TextEncoder().encode(held?.seed ?? ''),
          ),
        }
      : {}),
    ...(held?.inboxPrefix === undefined ? {} : { inboxPrefix: held.inboxPrefix }),
  })
  if (!credentials && held) void renew()
  return connection

  async function renew(): Promise<void> {
    for await (const { type } of connection.status()) {
      // The server may be away with the bus; then the credential that we have is as good.
      if (type === 'disconnect') held = (await trade().catch(() => undefined)) ?? held
    }
  }
}

/** A packet's bytes, signed where there is a key (jobs.md §29). */
export function packetBytes(id: string, traceId: string, payload: Payload, signer: KeyObject | undefined): Uint8Array {
  const packet = create(BusPacketSchema, {
    traceId,
    senderId: id,
    createdAt: timestampFromMs(Date.now()),
    protocolVersion: 1,
    payload,
  })
  return signer ? signPacket(packet, signer) : toBinary(BusPacketSchema, packet)
}

/** Reads a packet; undefined for bytes that are none. */
export function readPacket(bytes: Uint8Array): BusPacket | undefined {
  try {
    return fromBinary(BusPacketSchema, bytes)
  } catch {
    return undefined
  }
}
