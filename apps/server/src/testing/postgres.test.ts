import { Client } from 'pg'
import { expect, inject, test } from 'vitest'

function client(overrides: { password?: string } = {}) {
  return new Client({ ...inject('postgres'), database: 'postgres', ...overrides })
}

test('the run has a real PostgreSQL 18 with UTF-8 and code point order, whose user may create databases and roles', async () => {
  const db = client()
  await db.connect()
  const { rows } = await db.query<{ version: number; encoding: string; sorted: string[]; creates: boolean }>(`
    SELECT current_setting('server_version_num')::int AS version,
           current_setting('server_encoding') AS encoding,
           (SELECT array_agg(w ORDER BY w) FROM unnest(ARRAY['a', 'B', 'é', 'Z']) w) AS sorted,
           (SELECT rolcreatedb AND rolcreaterole FROM pg_roles WHERE rolname = current_user) AS creates`)
  expect(rows[0]?.version).toBeGreaterThanOrEqual(180_000)
  expect(rows[0]).toMatchObject({ encoding: 'UTF8', sorted: ['B', 'Z', 'a', 'é'], creates: true })
  await db.end()
})

test('a wrong password is refused', async () => {
  await expect(client({ password: 'wrong' }).connect()).rejects.toMatchObject({ code: '28P01' })
})
