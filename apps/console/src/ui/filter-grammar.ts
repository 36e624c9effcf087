export interface Term {
  field: string
  /** Any of these. */
  values: readonly string[]
  not?: boolean
}

export interface Query {
  terms: readonly Term[]
  text: string
}

export const EMPTY_QUERY: Query = { terms: [], text: '' }

const TERM = /^(-?)([A-Za-z][\w.-]*):(.+)$/s
const PLAIN = /^[^\s,"\\]+$/

/** Reads `status:failed,warning -env:prod "two words"`. Only the named fields make terms; everything else is free text. Never throws: what cannot be read is text. */
export function parseQuery(source: string, fields: readonly string[]): Query {
  const terms: Term[] = []
  const words: string[] = []
  for (const token of tokens(source)) {
    const [, not, field, rest] = TERM.exec(token) ?? []
    if (field && rest && fields.includes(field)) {
      const values = split(rest)
      if (values.length > 0) terms.push({ field, values, ...(not ? { not: true } : {}) })
      continue
    }
    const word = token.startsWith('"') ? unquote(token) : token
    if (word) words.push(word)
  }
  return { terms: merge(terms), text: words.join(' ') }
}

/** Writes a query so that reading it gives the same one: the value of the field and of the URL. */
export function formatQuery(query: Query, fields: readonly string[]): string {
  const terms = query.terms
    .filter((term) => term.values.length > 0)
    .map(
      (term) =>
        `${term.not ? '-' : ''}${term.field}:${term.values.map((value) => (PLAIN.test(value) ? value : quote(value))).join(',')}`,
    )
  const words = query.text
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => {
      const [, , field] = TERM.exec(word) ?? []
      return word.includes('"') || (field && fields.includes(field)) ? quote(word) : word
    })
  return [...terms, ...words].join(' ')
}

/** Adds a value to a field's term or takes it away; a term without values goes. */
export function toggleValue(query: Query, field: string, value: string): Query {
  const term = query.terms.find((other) => other.field === field && !other.not)
  if (!term) return { ...query, terms: [...query.terms, { field, values: [value] }] }
  const values = term.values.includes(value) ? term.values.filter((other) => other !== value) : [...term.values, value]
  const terms = query.terms
    .map((other) => (other === term ? { ...term, values } : other))
    .filter((other) => other.values.length > 0)
  return { ...query, terms }
}

/** The values chosen for a field. */
export function valuesOf(query: Query, field: string): readonly string[] {
  return query.terms.find((term) => term.field === field && !term.not)?.values ?? []
}

/** Whether a row answers the query: every term by one of its values, every word of the text somewhere in what `textOf` gives. */
export function matches(
  query: Query,
  valueOf: (field: string) => string | readonly string[] | undefined,
  textOf: () => string,
): boolean {
  for (const term of query.terms) {
    const own = valueOf(term.field)
    const values = own === undefined ? [] : typeof own === 'string' ? [own] : own
    const hit = term.values.some((wanted) => values.some((value) => value.toLowerCase() === wanted.toLowerCase()))
    if (hit === Boolean(term.not)) return false
  }
  if (!query.text) return true
  const text = textOf().toLowerCase()
  return query.text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}

function tokens(source: string): string[] {
  return source.match(/(?:"(?:[^"\\]|\\.)*"?|[^\s"])+/gs) ?? []
}

function split(list: string): string[] {
  const parts = list.match(/"(?:[^"\\]|\\.)*"?|[^,"]+/gs) ?? []
  return [...new Set(parts.map((part) => (part.startsWith('"') ? unquote(part) : part)).filter(Boolean))]
}

function merge(terms: readonly Term[]): Term[] {
  const out: Term[] = []
  for (const term of terms) {
    const at = out.findIndex((other) => other.field === term.field && Boolean(other.not) === Boolean(term.not))
    const known = out[at]
    if (known) out[at] = { ...known, values: [...new Set([...known.values, ...term.values])] }
    else out.push(term)
  }
  return out
}

function quote(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

function unquote(value: string): string {
  const [, inside = ''] = /^"((?:[^"\\]|\\.)*)/s.exec(value) ?? []
  return inside.replace(/\\(.)/gs, '$1')
}
