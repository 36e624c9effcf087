import { call } from './call.ts'
import type { Ground } from './ground.ts'

export interface NatsCredentials {
  jwt: string
  seed: string
}

/** A new key with these subjects, as its token. */
export async function makeKey(
  ground: Ground,
  name: string,
  { pub, sub }: { pub: readonly string[]; sub: readonly string[] },
): Promise<string> {
  const body = { name, pub: { allow: pub }, sub: { allow: sub } }
  return (await call<{ token: string }>(ground, 'POST', '/platform/api/v1/keys', body)).token
}

/** NATS credentials of a new key with these subjects, as any client gets them: POST /keys, then GET /apikey. */
export async function natsCredentials(
  ground: Ground,
  name: string,
  subjects: { pub: string[]; sub: string[] },
): Promise<NatsCredentials> {
  const token = await makeKey(ground, name, subjects)
  const { jwt, seed } = await call<NatsCredentials>(ground, 'GET', '/platform/api/v1/apikey', undefined, token)
  return { jwt, seed }
}
