import type { Ground } from './ground.ts'

export interface NatsCredentials {
  jwt: string
  seed: string
}

/** NATS credentials of a new key with these subjects, as any client gets them: POST /keys, then GET /apikey. */
export async function natsCredentials(
  ground: Ground,
  name: string,
  subjects: { pub: string[]; sub: string[] },
): Promise<NatsCredentials> {
  const call = async (method: string, path: string, token: string, body?: unknown): Promise<Record<string, string>> => {
    const response = await fetch(`${ground.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as Record<string, string>
  }
  const { token = '' } = await call('POST', '/platform/api/v1/keys', ground.apiKey, {
    name,
    pub: { allow: subjects.pub },
    sub: { allow: subjects.sub },
  })
  const { jwt = '', seed = '' } = await call('GET', '/platform/api/v1/apikey', token)
  return { jwt, seed }
}
