import { Check, Copy } from 'lucide-react'
import { useEffect, useState } from 'react'
import { Button, IconButton } from './button.tsx'

/** Writes text to the clipboard; also on plain http, where the asynchronous clipboard does not exist. */
export async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text)
    return true
  }
  const area = document.createElement('textarea')
  area.value = text
  area.style.position = 'fixed'
  area.style.opacity = '0'
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}

/** Copies, and says for two seconds that it did. */
export function CopyButton(props: { text: string; label?: string; words?: string; size?: 'md' | 'sm' }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [copied])
  const copy = () => void copyText(props.text).then(setCopied)
  const announced = (
    <span role="status" className="sr-only">
      {copied ? 'Copied' : ''}
    </span>
  )
  if (props.words) {
    return (
      <>
        <Button tone="quiet" size={props.size ?? 'sm'} icon={copied ? Check : Copy} onClick={copy}>
          {copied ? 'Copied' : props.words}
        </Button>
        {announced}
      </>
    )
  }
  return (
    <>
      <IconButton
        icon={copied ? Check : Copy}
        label={copied ? 'Copied' : (props.label ?? 'Copy')}
        size={props.size ?? 'sm'}
        onClick={copy}
      />
      {announced}
    </>
  )
}
