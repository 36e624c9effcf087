import { useId } from 'react'
import { Banner } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { CopyButton } from '../../ui/copy-button.tsx'

/** A secret that is shown this once: to be copied now, and gone when it is dismissed. */
export function OneTimeSecret(props: { name: string; secret: string; onDone: () => void }) {
  const id = useId()
  return (
    <Banner
      status="warning"
      title={`Copy the key of ${props.name} now`}
      acts={
        <Button size="sm" onClick={props.onDone}>
          I have it
        </Button>
      }
    >
      It is stored as a hash and cannot be shown again.
      <div className="mt-2 flex min-w-0 items-center gap-1 rounded-r2 border border-line-1 bg-well py-1 pr-1 pl-[11px]">
        <output id={id} aria-label="The key" className="mono min-w-0 flex-1 break-all text-ink">
          {props.secret}
        </output>
        <CopyButton text={props.secret} label="Copy the key" />
      </div>
    </Banner>
  )
}
