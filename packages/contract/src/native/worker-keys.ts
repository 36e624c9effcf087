import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Timestamp } from '../schemas.ts'

const WorkerKey = Type.Object({
  workerId: Id,
  publicKey: Type.String({ description: 'PEM, ECDSA P-256' }),
  createdAt: Timestamp,
})
const params = Type.Object({ worker: Id })

/** jobs.md §29.5: with one key configured, packets of the tenant's workers count only when they are signed. */
export const workerKeys = area({
  list: {
    method: 'GET',
    path: '/wheelhouse/api/v1/worker-keys',
    group: 'Workers',
    summary: 'Public keys by which the packets of workers are verified; none: packets are not verified',
    permission: 'worker:read',
    rate: 'native',
    list: {
      fields: {
        workerId: { type: 'text', sort: true, filter: true },
        createdAt: { type: 'time', sort: true, filter: true },
      },
      default: 'workerId',
    },
    reply: WorkerKey,
  },
  put: {
    method: 'PUT',
    path: '/wheelhouse/api/v1/worker-keys/{worker}',
    group: 'Workers',
    summary: 'Sets the public key of a worker; from then on unsigned packets and unknown senders are dropped',
    permission: 'worker-key:admin',
    verb: 'worker-key.set',
    rate: 'native',
    status: 200,
    params,
    body: Type.Object({ publicKey: Type.String({ minLength: 32, maxLength: 4096 }) }),
    reply: WorkerKey,
  },
  remove: {
    method: 'DELETE',
    path: '/wheelhouse/api/v1/worker-keys/{worker}',
    group: 'Workers',
    summary: 'Removes the public key of a worker; with the last one packets are no longer verified',
    permission: 'worker-key:admin',
    verb: 'worker-key.remove',
    rate: 'native',
    params,
    status: 204,
    reply: Type.Null(),
  },
})
