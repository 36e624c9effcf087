import { Type, type TSchema } from 'typebox'

/** Lower-case RFC 9562 uuid. */
export const Uuid = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' })

/** An id that a client may have chosen: host names, job ids (decisions D1). */
export const Id = Type.String({ minLength: 1, maxLength: 128 })

/** RFC 3339 UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time', maxLength: 40 })

export const Labels = Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 1024 }))

/** Any JSON value; its size is bounded by the body limit. */
export const Json = Type.Unknown()

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** A closed set of words, declared once as an array. */
export const OneOf = <const T extends readonly string[]>(words: T, options: object = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...words], ...options })

export const Empty = Type.Object({})
