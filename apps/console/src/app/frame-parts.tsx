import { Menu as MenuIcon } from 'lucide-react'
import { IconButton } from '../ui/button.tsx'
import { cx } from '../ui/cx.ts'

/** How many decisions wait for you. */
export function WaitCount(props: { value: number; className?: string }) {
  return (
    <span
      className={cx(
        'num inline-grid h-[18px] min-w-[18px] place-items-center rounded-full bg-waiting-soft px-[5px] text-s1 font-strong text-waiting-text inset-ring inset-ring-waiting-line',
        props.className,
      )}
    >
      {props.value}
    </span>
  )
}

/** What the top bar shows at left on a narrow screen. */
export function MenuButton(props: { onMenu: () => void }) {
  return <IconButton icon={MenuIcon} label="All sections" onClick={props.onMenu} className="size-10" />
}
