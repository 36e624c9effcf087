import type { Vault } from '../../kernel/vault/index.ts'

const SECRET = /pass(word|phrase)?|secret|token|seed|private|credential|key|auth|cookie|dsn|url/i

/** The environment with the values whose names speak of secrets masked, as rows and replies show it. */
export const maskedEnv = (env: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [name, SECRET.test(name) ? '***' : value]))

const context = (tenantId: string): string => `command environment of ${tenantId}`

/** The environment for the job's record: sealed, so that neither the database nor an approver's screen shows its values. */
export const sealEnv = (vault: Vault, tenantId: string, env: Readonly<Record<string, string>>): string | undefined =>
  Object.keys(env).length === 0 ? undefined : vault.seal(JSON.stringify(env), context(tenantId))

export const openEnv = (vault: Vault, tenantId: string, sealed: string | undefined): Record<string, string> =>
  sealed === undefined ? {} : (JSON.parse(vault.open(sealed, context(tenantId))) as Record<string, string>)
