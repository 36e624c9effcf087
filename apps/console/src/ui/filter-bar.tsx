import { ListFilter, X } from 'lucide-react'
import { useEffect, useId, useMemo, useRef, useState } from 'react'
import { cx } from './cx.ts'
import { formatQuery, parseQuery, type Query, type Term } from './filter-grammar.ts'
import { Kbd } from './kbd.tsx'
import { useKeys } from './keys.tsx'

export interface FilterField {
  field: string
  /** What it is, beside it in the suggestions. */
  label: string
  values?: readonly string[]
}

interface Suggestion {
  insert: string
  words: string
  hint?: string
}

/** The one field of a list: tokens (`field value ×`) and free text. What is typed as `field:value` becomes a token on a blank or ⏎; ⌫ at the start takes the last one back. */
export function FilterBar(props: {
  query: Query
  onChange: (query: Query) => void
  fields: readonly FilterField[]
  placeholder: string
  label: string
}) {
  const { query, onChange, fields } = props
  const names = useMemo(() => fields.map((field) => field.field), [fields])
  const input = useRef<HTMLInputElement>(null)
  const id = useId()
  const [draft, setDraft] = useState(query.text)
  const [focused, setFocused] = useState(false)
  const [active, setActive] = useState(-1)
  const told = useRef(query.text)

  // Back and forward change the text from outside; typing does not come back to the field.
  useEffect(() => {
    if (query.text === told.current) return
    told.current = query.text
    setDraft(query.text)
  }, [query.text])

  // Free text applies when the hand rests.
  useEffect(() => {
    const parsed = parseQuery(draft, names)
    if (parsed.terms.length > 0 || parsed.text === query.text) return
    const timer = setTimeout(() => {
      told.current = parsed.text
      onChange({ ...query, text: parsed.text })
    }, 180)
    return () => clearTimeout(timer)
  }, [draft, names, query, onChange])

  useKeys([{ keys: '/', label: 'Filter the list', group: 'Page', run: () => input.current?.focus() }])

  const take = (source: string) => {
    const parsed = parseQuery(source, names)
    const joined = [...query.terms, ...parsed.terms]
    const merged = parseQuery(formatQuery({ terms: joined, text: '' }, names), names).terms
    told.current = parsed.text
    setDraft(parsed.text)
    setActive(-1)
    onChange({ terms: merged, text: parsed.text })
  }
  const drop = (term: Term) => onChange({ ...query, terms: query.terms.filter((other) => other !== term) })

  const suggestions = useMemo(() => suggest(draft, fields), [draft, fields])
  const open = focused && suggestions.length > 0

  const accept = (suggestion: Suggestion) => {
    const before = draft.slice(0, draft.length - (draft.split(/\s/).at(-1)?.length ?? 0))
    if (suggestion.insert.endsWith(':')) {
      setDraft(before + suggestion.insert)
      setActive(-1)
    } else take(before + suggestion.insert)
  }

  return (
    <div className="relative min-w-0 flex-1 basis-56">
      <div
        className={cx(
          'flex min-h-8 min-w-0 flex-wrap items-center gap-1.5 rounded-r2 bg-surface-2 py-[5px] pr-[5px] pl-[9px] text-ink-3 inset-ring inset-ring-line-3',
          'focus-within:outline-2 focus-within:-outline-offset-1 focus-within:outline-accent',
        )}
      >
        <ListFilter size={14} aria-hidden />
        {query.terms.map((term) => (
          <span
            key={`${term.not ? '-' : ''}${term.field}`}
            className="inline-flex h-[22px] max-w-full items-center gap-1 rounded-r1 bg-accent-soft pr-0.5 pl-[7px] text-s2 whitespace-nowrap text-ink-2"
          >
            <span className="min-w-0 truncate">
              {term.field} {term.not && 'not '}
              <b className="font-medium text-ink">{term.values.join(' or ')}</b>
            </span>
            <button
              type="button"
              aria-label={`Remove filter ${term.field} ${term.values.join(' or ')}`}
              onClick={() => drop(term)}
              className="relative grid h-[22px] w-5 place-items-center text-ink-3 before:absolute before:-inset-0.5 hover:text-ink"
            >
              <X size={12} aria-hidden />
            </button>
          </span>
        ))}
        <input
          ref={input}
          type="text"
          role="combobox"
          aria-label={props.label}
          aria-expanded={open}
          aria-controls={open ? `${id}-list` : undefined}
          aria-autocomplete="list"
          aria-activedescendant={open && active >= 0 ? `${id}-${active}` : undefined}
          autoComplete="off"
          spellCheck={false}
          value={draft}
          placeholder={props.placeholder}
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
          onChange={(event) => {
            const value = event.target.value
            setActive(-1)
            if (/\s$/.test(value) && parseQuery(value, names).terms.length > 0) take(value)
            else setDraft(value)
          }}
          onKeyDown={(event) => {
            const chosen = suggestions[active]
            if (event.key === 'ArrowDown' && open) setActive((active + 1) % suggestions.length)
            else if (event.key === 'ArrowUp' && open) setActive(active <= 0 ? suggestions.length - 1 : active - 1)
            else if (chosen && open && (event.key === 'Enter' || event.key === 'Tab')) accept(chosen)
            else if (event.key === 'Enter') take(draft)
            else if (event.key === 'Backspace' && draft === '') {
              const last = query.terms.at(-1)
              if (last) drop(last)
              return
            } else if (event.key === 'Escape') {
              if (draft) setDraft('')
              else input.current?.blur()
            } else return
            event.preventDefault()
          }}
          className="h-[22px] min-w-32 flex-1 bg-transparent text-ink outline-none"
        />
        <span className="narrow:hidden">
          <Kbd>/</Kbd>
        </span>
      </div>
      {open && (
        <ul
          id={`${id}-list`}
          role="listbox"
          aria-label="Suggestions"
          className="wh-rise absolute top-full right-0 left-0 z-(--z-popover) mt-1 max-h-72 overflow-y-auto rounded-r3 bg-surface-3 p-1 shadow-e3 ring ring-line-2"
        >
          {suggestions.map((suggestion, index) => (
            <li
              key={suggestion.insert}
              id={`${id}-${index}`}
              role="option"
              aria-selected={index === active}
              onPointerDown={(event) => {
                event.preventDefault()
                accept(suggestion)
              }}
              onPointerMove={() => setActive(index)}
              className="flex min-h-(--control-h-sm) cursor-default items-center gap-2 rounded-r2 px-2 aria-selected:bg-hover"
            >
              <span className="text-ink">{suggestion.words}</span>
              {suggestion.hint && <span className="ml-auto text-s2 text-ink-3">{suggestion.hint}</span>}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

function suggest(draft: string, fields: readonly FilterField[]): Suggestion[] {
  const word = draft.split(/\s/).at(-1) ?? ''
  const [, not = '', name = '', start] = /^(-?)([\w.-]*)(?::(.*))?$/s.exec(word) ?? []
  if (start === undefined) {
    return fields
      .filter((field) => field.field.startsWith(name.toLowerCase()))
      .map((field) => ({ insert: `${not}${field.field}:`, words: `${field.field}:`, hint: field.label }))
  }
  const field = fields.find((other) => other.field === name)
  return (field?.values ?? [])
    .filter((value) => value.toLowerCase().includes(start.toLowerCase().replace(/^"/, '')))
    .slice(0, 12)
    .map((value) => ({
      insert: `${not}${formatQuery({ terms: [{ field: name, values: [value] }], text: '' }, [name])}`,
      words: value,
    }))
}
