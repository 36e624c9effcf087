import { type Static, Type } from 'typebox'

/** One entry of a permission list: a subject pattern, on the subscribe side optionally with a queue group (platform.md §8.2). */
const Pattern = Type.String({ minLength: 1, maxLength: 520 })

/** platform.md, notation: what may be published or subscribed to. */
export const Perm = Type.Object({
  allow: Type.Optional(Type.Array(Pattern, { maxItems: 200 })),
  deny: Type.Optional(Type.Array(Pattern, { maxItems: 200 })),
})

/** The same, or `null`: no limit of its own. One schema, so that a refusal names what is wrong inside. */
export const PermOrNull = Type.Unsafe<Static<typeof Perm> | null>({ ...Perm, type: ['object', 'null'] })

export const Permissions = Type.Object({ pub: Perm, sub: Perm })

/** Prefixes of visible extensions; `*` = all. */
export const Visible = Type.Union([Type.Array(Type.String()), Type.Literal('*')])

/** platform.md §9: `^[a-z][a-z0-9-]{0,62}$`. */
export const RoleName = Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$' })

export const Subject = Type.String({ minLength: 1, maxLength: 512 })
