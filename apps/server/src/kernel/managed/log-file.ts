import { openSync, renameSync, statSync } from 'node:fs'

const KEPT_BYTES = 16 * 1024 * 1024

/** Opens a child's log for appending, 0600. A file above 16 MiB is put aside as `.1` first, so at most two are kept. */
export function openLog(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > KEPT_BYTES) renameSync(file, `${file}.1`)
  return openSync(file, 'a', 0o600)
}
