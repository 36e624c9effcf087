import { Dialog } from './overlay.tsx'
import { Keys } from './kbd.tsx'
import { Switch } from './form.tsx'
import { useBoundKeys } from './keys.tsx'

/** All keys that work here, behind `?`, and the switch for single letters. */
export function ShortcutsSheet(props: {
  open: boolean
  onOpenChange: (open: boolean) => void
  singleKeys: boolean
  onSingleKeys: (on: boolean) => void
}) {
  const bound = useBoundKeys()
  const groups = new Map<string, Map<string, string>>()
  for (const binding of bound) {
    const group = groups.get(binding.group) ?? new Map<string, string>()
    if (!group.has(binding.keys)) group.set(binding.keys, binding.label)
    groups.set(binding.group, group)
  }
  return (
    <Dialog
      open={props.open}
      onOpenChange={props.onOpenChange}
      title="Keys"
      description="What works on this page. Letters rest while you type."
      width={720}
      footer={
        <span className="mr-auto flex items-center gap-2.5 text-s2 text-ink-2">
          <Switch checked={props.singleKeys} onChange={props.onSingleKeys} label="Single letters act" />
          <span aria-hidden>Single letters act</span>
        </span>
      }
    >
      <div className="grid gap-x-8 gap-y-5 wide:grid-cols-2">
        {[...groups].map(([group, keys]) => (
          <section key={group}>
            <h3 className="mb-1 text-s2 font-strong">{group}</h3>
            <dl className="text-s2">
              {[...keys].map(([combination, label]) => (
                <div
                  key={combination}
                  className="flex items-center justify-between gap-3 border-b border-line-1 py-1.5 last:border-0"
                >
                  <dt className="text-ink-2">{label}</dt>
                  <dd>
                    <Keys keys={combination} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}
