import { memo, type ReactNode } from 'react'
import { StatusShape, type Status } from './status.tsx'

export interface Tile {
  id: string
  name: string
  status: Status
  /** The word of its state. */
  word: string
}

/** One mark an object: healthy ones are small and pale, the rest keep their shape. */
export const TileMap = memo(function TileMap(props: {
  groups: readonly { name: string; note?: string; tiles: readonly Tile[]; end: ReactNode }[]
  onOpen: (id: string) => void
}) {
  return (
    <div className="grid grid-cols-[96px_minmax(0,1fr)_84px] gap-y-[9px] px-3.5 pt-px pb-3 narrow:grid-cols-[minmax(0,1fr)_84px]">
      {props.groups.map((group) => (
        <section key={group.name} aria-label={group.name} className="contents">
          <h3 className="text-s2 leading-4 font-medium narrow:col-start-1">
            {group.name}
            {group.note && <span className="block text-s1 leading-[14px] font-text text-ink-3">{group.note}</span>}
          </h3>
          <ul className="flex flex-wrap gap-[3px] narrow:col-span-2 narrow:row-start-auto">
            {group.tiles.map((tile) => (
              <li key={tile.id} className="flex">
                <button
                  type="button"
                  title={`${tile.name}: ${tile.word}`}
                  aria-label={`${tile.name}: ${tile.word}`}
                  tabIndex={tile.status === 'ok' ? -1 : 0}
                  onClick={() => props.onOpen(tile.id)}
                  className="grid size-2.5 place-items-center rounded-[2.5px]"
                >
                  {tile.status === 'ok' ? (
                    <i className="size-2.5 rounded-[2.5px] bg-[color-mix(in_oklab,var(--ok)_38%,var(--surface-2))]" />
                  ) : tile.status === 'off' ? (
                    <i className="size-2.5 rounded-[2.5px] shadow-[inset_0_0_0_1.2px_var(--unknown-line)]" />
                  ) : (
                    <StatusShape status={tile.status} size={12} />
                  )}
                </button>
              </li>
            ))}
          </ul>
          <div className="num text-right text-s2 leading-4 text-ink-3 narrow:col-start-2 narrow:row-auto">
            {group.end}
          </div>
        </section>
      ))}
    </div>
  )
})
