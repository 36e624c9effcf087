/** Room for the envelope around a list: what is left of a frame of 64 KiB. */
const LIST_BYTES = 60 * 1024

/** Splits a list so that each part, as JSON, fits into one frame. An empty list is one empty part; an item too large for any is a part of its own. */
export function inFrames<T>(items: readonly T[], maxBytes = LIST_BYTES): T[][] {
  const parts: T[][] = [[]]
  let size = 0
  for (const item of items) {
    const bytes = Buffer.byteLength(JSON.stringify(item)) + 1
    if (size > 0 && size + bytes > maxBytes) {
      parts.push([])
      size = 0
    }
    parts.at(-1)!.push(item)
    size += bytes
  }
  return parts
}
