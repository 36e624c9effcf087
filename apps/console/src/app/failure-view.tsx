import { span } from '../ui/age.ts'
import { keyWords } from '../ui/kbd.tsx'
import { DeniedState, EmptyState, ErrorState, ForbiddenState } from '../ui/states.tsx'
import { SearchX } from 'lucide-react'
import { failureOf } from '../api/failure.ts'

/** A refusal or an error in the place of what was asked for: what, why, who can clear it, what next. */
export function FailureView(props: { error: unknown; what: string; onRetry?: () => void }) {
  const failure = failureOf(props.error)
  if (failure.kind === 'forbidden') {
    return (
      <ForbiddenState title={`You cannot see ${props.what}`} permission={failure.permission}>
        {failure.message}
      </ForbiddenState>
    )
  }
  if (failure.kind === 'denied') {
    return (
      <DeniedState title={`Policy refuses ${props.what}`} rule={failure.rule} decision={failure.decision}>
        {failure.message}
      </DeniedState>
    )
  }
  if (failure.kind === 'missing') {
    return (
      <EmptyState icon={SearchX} title={`There is no ${props.what.replace(/^the /, '')} by this name`}>
        It may have been removed, or the address may be mistyped. Search ({keyWords('mod+k')}) finds what there is by
        its name.
      </EmptyState>
    )
  }
  if (failure.kind === 'busy') {
    return (
      <ErrorState title={`Too many requests for ${props.what}`} trace={failure.trace} onRetry={props.onRetry}>
        {failure.retryAfterMs === undefined
          ? 'Wait a moment.'
          : `The next is allowed in ${span(failure.retryAfterMs)}.`}
      </ErrorState>
    )
  }
  return (
    <ErrorState
      title={`${props.what.slice(0, 1).toUpperCase()}${props.what.slice(1)} could not be read`}
      trace={failure.trace}
      onRetry={props.onRetry}
    >
      {failure.message}
    </ErrorState>
  )
}
