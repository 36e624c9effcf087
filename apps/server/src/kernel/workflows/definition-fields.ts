import type { Problem } from './definition.ts'

type Json = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Reads the fields of one object of a definition. A field that is absent, null or (a text) empty is undefined; one of the wrong kind is a
 * problem and undefined as well.
 */
export class Fields {
  readonly #of: Json
  readonly #path: string
  readonly #problems: Problem[]

  constructor(of: Json, path: string, problems: Problem[]) {
    this.#of = of
    this.#path = path
    this.#problems = problems
  }

  path(key: string): string {
    return this.#path ? `${this.#path}.${key}` : key
  }

  wrong(key: string, message: string): undefined {
    this.#problems.push({ path: this.path(key), message, code: 'WF_FIELD_INVALID' })
    return undefined
  }

  #value(key: string): unknown {
    return Object.hasOwn(this.#of, key) && this.#of[key] !== null ? this.#of[key] : undefined
  }

  text(key: string, longest = 2048): string | undefined {
    const value = this.#value(key)
    if (value === undefined || value === '') return undefined
    if (typeof value !== 'string') return this.wrong(key, 'must be text')
    return value.length > longest ? this.wrong(key, `must have at most ${longest} characters`) : value
  }

  oneOf<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const value = this.text(key)
    if (value === undefined) return undefined
    return choices.find((each) => each === value) ?? this.wrong(key, `must be one of ${choices.join(', ')}`)
  }

  number(key: string, least: number, most: number): number | undefined {
    const value = this.#value(key)
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isFinite(value)) return this.wrong(key, 'must be a number')
    return value < least || value > most ? this.wrong(key, `must be from ${least} to ${most}`) : value
  }

  whole(key: string, least: number, most: number): number | undefined {
    const value = this.number(key, least, most)
    return value === undefined || Number.isInteger(value) ? value : this.wrong(key, 'must be a whole number')
  }

  flag(key: string): boolean | undefined {
    const value = this.#value(key)
    if (value === undefined || typeof value === 'boolean') return value
    return this.wrong(key, 'must be true or false')
  }

  object(key: string): Json | undefined {
    const value = this.#value(key)
    if (value === undefined || isRecord(value)) return value
    return this.wrong(key, 'must be an object')
  }

  list(key: string, most: number): readonly unknown[] | undefined {
    const value = this.#value(key)
    if (value === undefined) return undefined
    if (!Array.isArray(value)) return this.wrong(key, 'must be a list')
    return value.length > most ? this.wrong(key, `must have at most ${most} entries`) : value
  }

  texts(key: string, most: number): readonly string[] | undefined {
    const value = this.list(key, most)
    if (value === undefined) return undefined
    if (value.every((each): each is string => typeof each === 'string' && each !== '' && each.length <= 256))
      return value
    return this.wrong(key, 'must be a list of texts of 1 to 256 characters')
  }

  textMap(key: string): Readonly<Record<string, string>> | undefined {
    const value = this.object(key)
    if (value === undefined) return undefined
    const entries = Object.entries(value)
    if (entries.length > 64) return this.wrong(key, 'must have at most 64 entries')
    if (entries.every((each): each is [string, string] => typeof each[1] === 'string' && each[1].length <= 1024)) {
      return Object.fromEntries(entries)
    }
    return this.wrong(key, 'must have texts of at most 1,024 characters as values')
  }

  /** The fields of an object within; undefined where there is none. */
  within(key: string): Fields | undefined {
    const value = this.object(key)
    return value && new Fields(value, this.path(key), this.#problems)
  }

  /** One for each object of a list. */
  each(key: string, most: number): Fields[] {
    const all: Fields[] = []
    for (const [index, value] of (this.list(key, most) ?? []).entries()) {
      if (isRecord(value)) all.push(new Fields(value, `${this.path(key)}[${index}]`, this.#problems))
      else this.wrong(`${key}[${index}]`, 'must be an object')
    }
    return all
  }
}
