import { isYes } from '../yes.ts'
import { refuse } from './manifest.ts'

/** What the install form carries (jobs.md 13). */
interface InstallForm {
  bundle: Uint8Array
  signature: Uint8Array | undefined
  force: boolean
  upgrade: boolean
  inactive: boolean
}

const NAME = /\.(?:tgz|tar\.gz)$/i

/** Reads `multipart/form-data`. Throws VAL_SCHEMA in the documented words. */
export async function readInstallForm(body: Uint8Array, contentType: string | undefined): Promise<InstallForm> {
  if (contentType === undefined || !/^multipart\/form-data\s*;/i.test(contentType)) refuse('invalid multipart form')
  const form = await new Response(body as Uint8Array<ArrayBuffer>, { headers: { 'content-type': contentType ?? '' } })
    .formData()
    .catch((error: unknown) => refuse('invalid multipart form', error))
  const bundle = form.get('bundle')
  if (bundle === null || typeof bundle === 'string') return refuse('bundle file required')
  if (!NAME.test(bundle.name)) refuse('bundle must be .tgz')
  const signature = form.get('signature')
  const flag = (name: string): boolean => {
    const value = form.get(name)
    return typeof value === 'string' && isYes(value)
  }
  return {
    bundle: new Uint8Array(await bundle.arrayBuffer()),
    signature:
      signature === null
        ? undefined
        : typeof signature === 'string'
          ? new TextEncoder().encode(signature)
          : new Uint8Array(await signature.arrayBuffer()),
    force: flag('force'),
    upgrade: flag('upgrade'),
    inactive: flag('inactive'),
  }
}
