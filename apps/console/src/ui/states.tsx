import { ListFilter, type LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { stamp } from './age.ts'
import { Button } from './button.tsx'
import { useNow } from './clock.ts'
import { CopyButton } from './copy-button.tsx'
import { cx } from './cx.ts'
import { span } from './age.ts'
import { StatusShape, type Status } from './status.tsx'

const WIDTHS = [96, 72, 110, 84, 64, 102, 78, 90]

/** The skeleton of the real rows. It appears after 200 ms, so that a quick answer shows nothing in between; it never shimmers. */
export function SkeletonRows(props: { rows?: number; height?: number; label?: string }) {
  return (
    <div aria-busy="true" aria-label={props.label ?? 'Loading'} role="status" className="wh-late">
      {Array.from({ length: props.rows ?? 6 }, (_, index) => (
        <div
          key={index}
          className="flex items-center gap-2 border-b border-line-1 px-3.5"
          style={{ height: props.height ?? 34 }}
        >
          <Bone width={14} />
          <Bone width={WIDTHS[index % WIDTHS.length] ?? 80} />
          <span className="flex-1" />
          <Bone width={34} />
        </div>
      ))}
    </div>
  )
}

/** One grey bar of a skeleton. */
export function Bone(props: { width: number | string; height?: number }) {
  return (
    <span
      className="block rounded-r1 bg-[color-mix(in_oklab,var(--text)_9%,transparent)]"
      style={{ width: props.width, height: props.height ?? 9 }}
    />
  )
}

function Say(props: {
  mark: ReactNode
  title: ReactNode
  children?: ReactNode
  acts?: ReactNode
  className?: string
  role?: string
}) {
  return (
    <div
      role={props.role}
      className={cx(
        'flex flex-col items-start justify-center gap-[3px] px-4 py-8 text-s2 text-ink-2 wide:px-5',
        props.className,
      )}
    >
      <div className="mb-1.5">{props.mark}</div>
      <p className="text-s3 font-medium text-ink">{props.title}</p>
      {props.children && (
        <div className="max-w-[68ch] text-pretty [&_b]:font-medium [&_b]:text-ink">{props.children}</div>
      )}
      {props.acts && <div className="mt-2.5 flex flex-wrap gap-1.5">{props.acts}</div>}
    </div>
  )
}

/** Nothing yet: what would be here, and how to make the first. */
export function EmptyState(props: {
  icon: LucideIcon
  title: ReactNode
  children?: ReactNode
  acts?: ReactNode
  className?: string
}) {
  const Icon = props.icon
  return (
    <Say
      mark={<Icon size={20} aria-hidden className="text-ink-3" />}
      title={props.title}
      acts={props.acts}
      className={props.className}
    >
      {props.children}
    </Say>
  )
}

/** Filters hide everything: which one is the tightest, and how many there are without it. */
export function NoMatchState(props: {
  what: string
  filters: number
  tightest?: { words: string; without: number; drop: () => void } | undefined
  onClear: () => void
}) {
  const { tightest } = props
  return (
    <Say
      mark={<ListFilter size={20} aria-hidden className="text-ink-3" />}
      title={`No ${props.what} matches ${props.filters === 1 ? 'this filter' : `${props.filters} filters`}`}
      acts={
        <>
          {tightest && tightest.without > 0 && (
            <Button size="sm" onClick={tightest.drop}>
              Drop {tightest.words}
            </Button>
          )}
          <Button size="sm" tone="quiet" onClick={props.onClear}>
            Clear all
          </Button>
        </>
      }
    >
      {tightest && tightest.without > 0 && (
        <>
          The tightest is <b>{tightest.words}</b>. Without it: {tightest.without}.
        </>
      )}
    </Say>
  )
}

/** What failed, that nothing changed (if so), the trace id, and another try. */
export function ErrorState(props: {
  title: ReactNode
  children?: ReactNode
  trace?: string | undefined
  onRetry?: (() => void) | undefined
  className?: string
}) {
  return (
    <Say
      role="alert"
      mark={<StatusShape status="failed" size={20} />}
      title={props.title}
      className={props.className}
      acts={
        <>
          {props.onRetry && (
            <Button size="sm" onClick={props.onRetry}>
              Try again
            </Button>
          )}
          {props.trace && <CopyButton text={props.trace} words="Copy trace" />}
        </>
      }
    >
      {props.children}
      {props.trace && (
        <p>
          Trace <span className="mono">{props.trace}</span>
        </p>
      )}
    </Say>
  )
}

/** The role does not allow this: which permission it needs, and who can grant it. */
export function ForbiddenState(props: {
  title: ReactNode
  permission?: string | undefined
  grantedBy?: ReactNode
  acts?: ReactNode
  children?: ReactNode
}) {
  return (
    <Say mark={<StatusShape status="denied" size={20} />} title={props.title} acts={props.acts}>
      {props.permission && (
        <>
          Needs <span className="mono text-ink">{props.permission}</span>.{' '}
        </>
      )}
      {props.children} {props.grantedBy ?? 'An administrator of this tenant can grant it under Admin, Users.'}
    </Say>
  )
}

/** Policy said no: the rule, why, when it clears, how to ask. */
export function DeniedState(props: {
  title: ReactNode
  rule?: string | undefined
  decision?: string | undefined
  children?: ReactNode
  acts?: ReactNode
}) {
  return (
    <Say mark={<StatusShape status="denied" size={20} />} title={props.title} acts={props.acts}>
      {props.rule && (
        <>
          Rule <span className="mono text-ink">{props.rule}</span>.{' '}
        </>
      )}
      {props.decision && (
        <>
          Decision <span className="mono text-ink">{props.decision}</span>.{' '}
        </>
      )}
      {props.children}
    </Say>
  )
}

function Line(props: { status: Status; children: ReactNode; act?: ReactNode }) {
  return (
    <div
      role="status"
      data-status={props.status}
      className="flex flex-none items-start gap-2 border-b border-st-line bg-st-soft px-3.5 py-2 text-s2 leading-[17px] text-ink-2"
    >
      <StatusShape status={props.status} size={14} className="mt-[1.5px]" />
      <span className="min-w-0 flex-1">{props.children}</span>
      {props.act}
    </div>
  )
}

/** A press in a line of text. */
export function LinkButton(props: { onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      onClick={props.onClick}
      className="font-medium text-accent-text underline-offset-[3px] hover:underline"
    >
      {props.children}
    </button>
  )
}

/** The data stays, with its age: as of when, why, what happens next. */
export function StaleLine(props: { since: number; why: string; onRetry?: () => void }) {
  const now = useNow()
  return (
    <Line status="unknown" act={props.onRetry && <LinkButton onClick={props.onRetry}>Now</LinkButton>}>
      As of <time title={stamp(props.since)}>{span(now - props.since)} ago</time>. {props.why}
    </Line>
  )
}

/** A source did not answer: which, how much is missing, another try. */
export function PartialLine(props: { children: ReactNode; onRetry?: () => void }) {
  return (
    <Line status="warning" act={props.onRetry && <LinkButton onClick={props.onRetry}>Retry</LinkButton>}>
      {props.children}
    </Line>
  )
}
