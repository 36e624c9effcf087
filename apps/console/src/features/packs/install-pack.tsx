import { Upload } from 'lucide-react'
import { useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { useInstallFile } from '../../api/packs.ts'
import { useRefusal } from '../../app/allowed.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Checkbox, Field, TextInput } from '../../ui/form.tsx'
import { Dialog } from '../../ui/overlay.tsx'
import { toast } from '../../ui/toast.tsx'

/** Installs a bundle from a file, all of it or nothing. */
export function InstallPack() {
  const refusal = useRefusal()
  const install = useInstallFile()
  const [open, setOpen] = useState(false)
  const [file, setFile] = useState<File>()
  const [signature, setSignature] = useState<File>()
  const [upgrade, setUpgrade] = useState(false)
  const [inactive, setInactive] = useState(false)
  const go = () => {
    if (!file) return
    install.mutate(
      { file, signature, upgrade, inactive },
      {
        onSuccess: (pack) => {
          toast({ status: 'ok', title: 'Installed', text: `${pack.id} ${pack.version}` })
          setOpen(false)
        },
      },
    )
  }
  return (
    <>
      <Button
        icon={Upload}
        tone="primary"
        off={refusal('jobs', 'POST', '/api/v1/packs/install')}
        onClick={() => {
          install.reset()
          setOpen(true)
        }}
      >
        Install a pack
      </Button>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title="Install a pack"
        description="Its workflows, schemas, policy and configuration come in together: all of it, or nothing where a part does not fit. Nothing in a pack is run by installing it."
        footer={
          <Button tone="primary" off={!file && 'Choose a bundle first.'} busy={install.isPending} onClick={go}>
            Install
          </Button>
        }
      >
        <div className="grid gap-3">
          <Field label="Bundle" help="A .tgz with pack.yaml in it, up to 64 MiB.">
            {(shape) => (
              <TextInput
                {...shape}
                type="file"
                accept=".tgz,.tar.gz"
                onChange={(event) => setFile(event.target.files?.[0])}
              />
            )}
          </Field>
          <Field label="Signature" optional help="A detached signature, where this tenant trusts a key.">
            {(shape) => (
              <TextInput {...shape} type="file" onChange={(event) => setSignature(event.target.files?.[0])} />
            )}
          </Field>
          <Checkbox checked={upgrade} onChange={setUpgrade} label="Upgrade: replace what an older version brought" />
          <Checkbox
            checked={inactive}
            onChange={setInactive}
            label="Inactive: without its routing, so that its jobs do not run yet"
          />
          {install.error && <Note status="failed">{failureOf(install.error).message} Nothing was changed.</Note>}
        </div>
      </Dialog>
    </>
  )
}
