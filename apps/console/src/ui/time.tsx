import { clockTime, instant, span, stamp } from './age.ts'
import { useNow } from './clock.ts'

type When = string | number | null | undefined

/** How long ago, growing by itself; UTC on hover. A dash when there is no time. */
export function Age(props: { at: When; suffix?: string; className?: string }) {
  const now = useNow()
  const at = instant(props.at)
  if (at === undefined) return <span className="text-ink-3">–</span>
  return (
    <time dateTime={new Date(at).toISOString()} title={stamp(at)} className={props.className}>
      {span(Math.max(now - at, 0) < 1000 ? 0 : now - at)}
      {props.suffix}
    </time>
  )
}

/** Time that is left, shrinking by itself: "52 min left", then "over". */
export function Left(props: { until: When; className?: string }) {
  const now = useNow()
  const until = instant(props.until)
  if (until === undefined) return null
  return (
    <time dateTime={new Date(until).toISOString()} title={stamp(until)} className={props.className}>
      {until > now ? `${span(until - now)} left` : 'over'}
    </time>
  )
}

/** An absolute time, for evidence, audit and logs. `short` leaves out the day when it is today. */
export function At(props: { at: When; short?: boolean; className?: string }) {
  const now = useNow(60_000)
  const at = instant(props.at)
  if (at === undefined) return <span className="text-ink-3">–</span>
  const today = new Date(at).toISOString().slice(0, 10) === new Date(now).toISOString().slice(0, 10)
  return (
    <time dateTime={new Date(at).toISOString()} title={stamp(at)} className={props.className}>
      {props.short ? (today ? clockTime(at) : new Date(at).toISOString().slice(0, 16).replace('T', ' ')) : stamp(at)}
    </time>
  )
}
