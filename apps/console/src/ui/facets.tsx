import { Check } from 'lucide-react'
import { cx } from './cx.ts'
import { toggleValue, valuesOf, type Query } from './filter-grammar.ts'
import { StatusShape, type Status } from './status.tsx'

export interface Facet {
  field: string
  title: string
  note?: string
  options: readonly { value: string; label?: string; count: number; status?: Status }[]
}

/** Facets at the left of a list: counts under the present filter, share bars; one at zero stays visible. */
export function Facets(props: {
  facets: readonly Facet[]
  query: Query
  onChange: (query: Query) => void
  className?: string
}) {
  return (
    <div className={cx('overflow-y-auto pt-1.5 pb-4', props.className)}>
      {props.facets.map((facet) => {
        const chosen = valuesOf(props.query, facet.field)
        const most = Math.max(1, ...facet.options.map((option) => option.count))
        if (facet.options.length === 0) return null
        return (
          <section key={facet.field} aria-label={facet.title}>
            <h2 className="flex items-center gap-1.5 pt-2.5 pr-3.5 pb-[3px] pl-5 text-s2 font-strong">
              {facet.title}
              {facet.note && <span className="num ml-auto text-s1 font-text text-ink-3">{facet.note}</span>}
            </h2>
            {facet.options.map((option) => {
              const on = chosen.includes(option.value)
              return (
                <button
                  key={option.value}
                  type="button"
                  role="checkbox"
                  aria-checked={on}
                  onClick={() => props.onChange(toggleValue(props.query, facet.field, option.value))}
                  className={cx(
                    'flex h-[25px] w-full items-center gap-2 pr-3.5 pl-5 text-left text-s2 hover:bg-hover focus-visible:-outline-offset-2 pointer-coarse:h-11',
                    on ? 'font-medium text-ink' : 'text-ink-2',
                  )}
                >
                  <span
                    aria-hidden
                    className={cx(
                      'grid size-[15px] flex-none place-items-center rounded-[4px]',
                      on ? 'bg-accent text-accent-ink' : 'bg-surface-2 shadow-[inset_0_0_0_1.3px_var(--line-3)]',
                    )}
                  >
                    {on && <Check size={11} strokeWidth={3.4} />}
                  </span>
                  {option.status && <StatusShape status={option.status} size={12} />}
                  <span className="min-w-0 flex-1 truncate">{option.label ?? option.value}</span>
                  <span
                    aria-hidden
                    className="relative h-[3px] w-[26px] flex-none rounded-[2px] bg-[color-mix(in_oklab,var(--text)_9%,transparent)]"
                  >
                    <i
                      className="absolute inset-y-0 left-0 rounded-[2px] bg-(--data-8)"
                      style={{ width: `${(option.count / most) * 100}%` }}
                    />
                  </span>
                  <span className="num min-w-5 text-right text-ink-3">{option.count}</span>
                </button>
              )
            })}
          </section>
        )
      })}
    </div>
  )
}
