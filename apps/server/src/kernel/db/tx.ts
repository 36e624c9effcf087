import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
} from 'kysely'
import type pg from 'pg'

/** A statement made with the `sql` template; its type parameter is the row. */
export type Statement<T = unknown> = RawBuilder<T>

declare const inTransaction: unique symbol

/**
 * An open transaction. Whoever writes takes one as the first parameter; it cannot start another, and a pool is not assignable to it.
 * Row-level security confines it to `tenantId`, so statements do not repeat the tenant, but must insert it.
 */
export interface Tx {
  readonly [inTransaction]: true
  /** The tenant that the transaction is confined to; '' in transactions of the engine and of the login path. */
  readonly tenantId: string
  many<T>(statement: Statement<T>): Promise<T[]>
  /** The only row, or undefined. */
  maybe<T>(statement: Statement<T>): Promise<T | undefined>
  /** The only row; its absence is a defect. */
  one<T>(statement: Statement<T>): Promise<T>
  /** How many rows were written. */
  run(statement: Statement): Promise<number>
  /** A hot statement by text and values, prepared once a connection. */
  query<T extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<pg.QueryResult<T>>
  /** Runs once the transaction is committed, never when it rolls back. For nudges: what must not be lost is written. */
  afterCommit(run: () => void): void
  /**
   * Runs once the transaction has come to nothing. `known` is false where its commit was sent and the answer never came: then what was
   * written may be there.
   */
  afterRollback(run: (known: boolean) => void): void
}

/** What follows a transaction, as its work asked for it. */
export interface Hooks {
  committed: (() => void)[]
  rolledBack: ((known: boolean) => void)[]
}

/** Compiles templates; it never connects. */
const compiler = new Kysely<unknown>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
})

const names = new Map<string, string>()

/** Statement texts are few (values are parameters), so each is prepared under a name; the cap guards against a text that is built. */
function nameOf(text: string): string | undefined {
  const known = names.get(text)
  if (known !== undefined) return known
  if (names.size >= 1000) return undefined
  const name = `wh${names.size + 1}`
  names.set(text, name)
  return name
}

export interface Runner extends Omit<Tx, typeof inTransaction | 'tenantId' | 'afterCommit' | 'afterRollback'> {}

/** A statement as the driver takes it, under its name. */
export function prepared(text: string, values: readonly unknown[]): pg.QueryConfig {
  const name = nameOf(text)
  return name === undefined ? { text, values: [...values] } : { name, text, values: [...values] }
}

export function runner(client: pg.ClientBase): Runner {
  const query = <T extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<pg.QueryResult<T>> =>
    client.query<T>(prepared(text, values))
  const execute = <T>(statement: Statement<T>) => {
    const compiled = statement.compile(compiler)
    return query<T & pg.QueryResultRow>(compiled.sql, compiled.parameters)
  }
  return {
    query,
    many: async (statement) => (await execute(statement)).rows,
    maybe: async (statement) => (await execute(statement)).rows[0],
    async one<T>(statement: Statement<T>) {
      const [row] = (await execute(statement)).rows
      if (row === undefined) throw new Error('A statement that must return a row returned none')
      return row as T
    },
    run: async (statement) => (await execute(statement)).rowCount ?? 0,
  }
}

export const asTx = (client: pg.ClientBase, tenantId: string, { committed, rolledBack }: Hooks): Tx =>
  ({
    ...runner(client),
    tenantId,
    afterCommit: (run: () => void) => void committed.push(run),
    afterRollback: (run: (known: boolean) => void) => void rolledBack.push(run),
  }) as unknown as Tx
