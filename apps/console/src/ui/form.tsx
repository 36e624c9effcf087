import { Check, ChevronDown, Minus } from 'lucide-react'
import { Select as RadixSelect, Switch as RadixSwitch } from 'radix-ui'
import { useId, type ComponentProps, type ReactNode } from 'react'
import { cx } from './cx.ts'
import { StatusShape } from './status.tsx'

export interface FieldShape {
  id: string
  'aria-describedby'?: string
  'aria-invalid'?: true
}

/** One field of a form: label above, help below, the error in the help's place with its fix. The control is drawn by `children`, which receives the ids that tie them together. */
export function Field(props: {
  label: string
  help?: ReactNode
  error?: string | undefined
  optional?: boolean
  className?: string
  children: (shape: FieldShape) => ReactNode
}) {
  const id = useId()
  const note = props.error ?? props.help
  return (
    <div className={cx('flex min-w-0 flex-col gap-1', props.className)}>
      <label htmlFor={id} className="text-s2 font-medium text-ink">
        {props.label}
        {props.optional && <span className="ml-1.5 font-text text-ink-3">optional</span>}
      </label>
      {props.children({
        id,
        ...(note ? { 'aria-describedby': `${id}-note` } : {}),
        ...(props.error ? { 'aria-invalid': true as const } : {}),
      })}
      {note && (
        <p
          id={`${id}-note`}
          className={cx('flex items-start gap-1.5 text-s2', props.error ? 'text-failed-text' : 'text-ink-3')}
        >
          {props.error && <StatusShape status="failed" size={12} className="mt-[3px]" />}
          <span>{note}</span>
        </p>
      )}
    </div>
  )
}

const BOX =
  'w-full rounded-r2 bg-surface-2 text-ink inset-ring inset-ring-line-3 outline-none focus-visible:outline-2 focus-visible:outline-accent focus-visible:-outline-offset-1 aria-invalid:inset-ring-st aria-disabled:bg-well read-only:bg-well'

/** A line of text. `mono` for what a machine will be told. */
export function TextInput({ mono, className, ...props }: ComponentProps<'input'> & { mono?: boolean }) {
  return (
    <input
      data-status={props['aria-invalid'] ? 'failed' : undefined}
      {...props}
      className={cx(
        BOX,
        'h-(--control-h) px-2.5',
        'file:mr-2.5 file:h-full file:border-0 file:border-r file:border-line-2 file:bg-transparent file:pr-2.5 file:font-medium file:text-ink',
        mono && 'mono',
        className,
      )}
    />
  )
}

/** Several lines of text. */
export function TextArea({ mono, className, ...props }: ComponentProps<'textarea'> & { mono?: boolean }) {
  return (
    <textarea
      rows={3}
      data-status={props['aria-invalid'] ? 'failed' : undefined}
      {...props}
      className={cx(BOX, 'resize-y px-2.5 py-[7px]', mono && 'mono leading-[18px]', className)}
    />
  )
}

/** A box to tick; `some` is the state between all and none. */
export function Checkbox(props: {
  checked: boolean | 'some'
  onChange: (checked: boolean) => void
  label: string
  hideLabel?: boolean
  tabIndex?: number
  className?: string
}) {
  const on = props.checked !== false
  return (
    <label className={cx('relative flex w-fit cursor-pointer items-center gap-2', props.className)}>
      <input
        type="checkbox"
        tabIndex={props.tabIndex}
        aria-label={props.hideLabel ? props.label : undefined}
        checked={props.checked === true}
        ref={(element) => {
          if (element) element.indeterminate = props.checked === 'some'
        }}
        onChange={(event) => props.onChange(event.target.checked)}
        className="peer absolute -inset-1 m-0 size-6 cursor-pointer opacity-0"
      />
      <span
        aria-hidden
        className={cx(
          'grid size-[15px] flex-none place-items-center rounded-[4px] peer-focus-visible:outline-2 peer-focus-visible:outline-offset-2 peer-focus-visible:outline-accent',
          on ? 'bg-accent text-accent-ink' : 'bg-surface-2 shadow-[inset_0_0_0_1.3px_var(--line-3)]',
        )}
      >
        {props.checked === 'some' ? <Minus size={11} strokeWidth={3.4} /> : on && <Check size={11} strokeWidth={3.4} />}
      </span>
      {!props.hideLabel && <span>{props.label}</span>}
    </label>
  )
}

/** On or off, at once: for settings that need no save. */
export function Switch(props: { checked: boolean; onChange: (checked: boolean) => void; label: string; id?: string }) {
  return (
    <RadixSwitch.Root
      id={props.id}
      checked={props.checked}
      onCheckedChange={props.onChange}
      aria-label={props.label}
      className="relative inline-flex h-[18px] w-8 flex-none items-center rounded-full bg-line-3 transition-colors duration-(--t-1) before:absolute before:-inset-1 data-[state=checked]:bg-accent"
    >
      <RadixSwitch.Thumb className="size-3.5 translate-x-0.5 rounded-full bg-surface-1 transition-transform duration-(--t-1) data-[state=checked]:translate-x-4" />
    </RadixSwitch.Root>
  )
}

export interface Option<V extends string = string> {
  value: V
  label: string
  hint?: string
}

/** One of a few. For many, with search, use the filter bar or the palette. */
export function Select<V extends string>(props: {
  value: V | ''
  onChange: (value: V) => void
  options: readonly Option<V>[]
  label: string
  placeholder?: string
  shape?: FieldShape
  size?: 'md' | 'sm'
  className?: string
}) {
  return (
    <RadixSelect.Root value={props.value} onValueChange={(value) => props.onChange(value as V)}>
      <RadixSelect.Trigger
        {...props.shape}
        aria-label={props.shape ? undefined : props.label}
        className={cx(
          'inline-flex items-center justify-between gap-2 rounded-r2 bg-surface-2 px-2.5 text-left inset-ring inset-ring-line-3 data-placeholder:text-ink-3',
          props.size === 'sm' ? 'h-(--control-h-sm) text-s2' : 'h-(--control-h)',
          props.className,
        )}
      >
        <span className="truncate">
          <RadixSelect.Value placeholder={props.placeholder ?? 'Choose'} />
        </span>
        <RadixSelect.Icon asChild>
          <ChevronDown size={14} className="text-ink-3" />
        </RadixSelect.Icon>
      </RadixSelect.Trigger>
      <RadixSelect.Portal>
        <RadixSelect.Content
          position="popper"
          sideOffset={4}
          className="wh-rise z-(--z-palette) max-h-72 min-w-(--radix-select-trigger-width) overflow-hidden rounded-r3 bg-surface-3 shadow-e3 ring ring-line-2"
        >
          <RadixSelect.Viewport className="p-1">
            {props.options.map((option) => (
              <RadixSelect.Item
                key={option.value}
                value={option.value}
                className="flex min-h-(--control-h-sm) cursor-default items-center gap-2 rounded-r2 py-1 pr-2 pl-2 outline-none data-highlighted:bg-hover"
              >
                <span className="min-w-0 flex-1">
                  <RadixSelect.ItemText>{option.label}</RadixSelect.ItemText>
                  {option.hint && <span className="block text-s1 text-ink-3">{option.hint}</span>}
                </span>
                <RadixSelect.ItemIndicator>
                  <Check size={14} className="text-accent-text" />
                </RadixSelect.ItemIndicator>
              </RadixSelect.Item>
            ))}
          </RadixSelect.Viewport>
        </RadixSelect.Content>
      </RadixSelect.Portal>
    </RadixSelect.Root>
  )
}

/** A few exclusive views or ranges, side by side. */
export function Segmented<V extends string>(props: {
  value: V
  onChange: (value: V) => void
  options: readonly { value: V; label: string; icon?: ReactNode }[]
  label: string
}) {
  return (
    <div
      role="group"
      aria-label={props.label}
      className="inline-flex flex-none rounded-r2 bg-well p-0.5 inset-ring inset-ring-line-1"
    >
      {props.options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === props.value}
          onClick={() => props.onChange(option.value)}
          className={cx(
            'flex h-[calc(var(--control-h-sm)-2px)] items-center gap-[5px] rounded-[4.5px] px-[9px] text-s2 font-medium whitespace-nowrap',
            option.value === props.value
              ? 'bg-surface-3 text-ink shadow-e1 inset-ring inset-ring-line-1'
              : 'text-ink-2 hover:text-ink',
          )}
        >
          {option.icon}
          {option.label}
        </button>
      ))}
    </div>
  )
}
