/** Without its zero values, as protobuf's JSON leaves them out (jobs.md §16). */
export const withoutZeros = <T extends Record<string, unknown>>(record: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(
    Object.entries(record).filter(
      ([, value]) => value !== '' && value !== 0 && value !== false && !(Array.isArray(value) && value.length === 0),
    ),
  ) as { [K in keyof T]?: NonNullable<T[K]> }
