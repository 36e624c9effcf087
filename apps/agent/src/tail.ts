import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { LogLine } from '@wheelhouse/sdk/agent-protocol'
import { describeLine } from './log-line.ts'
import { messageOf } from './log.ts'
import type { Log } from './log.ts'

export interface TailerOptions {
  dataDir: string
  /** Hands over one batch; false means that it did not reach the server and comes again. */
  send(path: string, lines: LogLine[]): Promise<boolean>
  log: Log
  pollMs?: number
}

interface Position {
  device: number
  inode: number
  offset: number
}

interface Followed {
  path: string
  handle?: FileHandle
  position?: Position
  /** Lines before the end to begin with; undefined once the file has been opened, and for files that appear later. */
  backlog?: number
}

const POLL_MS = 500
const READ_BYTES = 32 * 1024
const READS_A_ROUND = 16
const LONGEST_LINE_BYTES = 10_000

/**
 * Follows named files across appending, truncation and rotation (by rename or by copy). A line is sent once it is complete; the position
 * moves only when the server's connection has taken it, and is kept on disk, so that an interruption or a restart loses no line.
 */
export class Tailer {
  readonly #options: TailerOptions
  readonly #followed = new Map<string, Followed>()
  readonly #stateFile: string
  readonly #remembered: Map<string, Position>
  #timer?: NodeJS.Timeout
  #round?: Promise<void>
  #saved = ''

  constructor(options: TailerOptions) {
    this.#options = options
    this.#stateFile = join(options.dataDir, 'positions.json')
    this.#remembered = new Map(Object.entries(readState(this.#stateFile)))
  }

  start(): void {
    this.#timer = setInterval(() => void this.poll(), this.#options.pollMs ?? POLL_MS)
  }

  follow(paths: readonly string[], backlog = 0): void {
    for (const path of paths) {
      if (path.startsWith('/') && !this.#followed.has(path)) this.#followed.set(path, { path, backlog })
    }
    void this.poll()
  }

  /** Stops following; without paths, everything. */
  async unfollow(paths: readonly string[]): Promise<void> {
    for (const path of paths.length > 0 ? paths : [...this.#followed.keys()]) {
      const file = this.#followed.get(path)
      this.#followed.delete(path)
      this.#remembered.delete(path)
      await file?.handle?.close().catch(() => {})
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#round
    for (const { handle } of this.#followed.values()) await handle?.close().catch(() => {})
    this.#save()
  }

  /** Reads on in every followed file. Rounds do not overlap: a call during one joins it. */
  poll(): Promise<void> {
    this.#round ??= this.#pollAll().finally(() => (this.#round = undefined))
    return this.#round
  }

  async #pollAll(): Promise<void> {
    for (const file of this.#followed.values()) {
      try {
        await this.#pollFile(file)
      } catch (error) {
        this.#options.log.debug('cannot follow a file', { path: file.path, error: messageOf(error) })
        await this.#release(file)
      }
    }
    this.#save()
  }

  async #pollFile(file: Followed): Promise<void> {
    const named = await stat(file.path).catch(() => undefined)
    if (!file.handle) {
      // A pipe or a device would block or never end.
      if (!named?.isFile()) {
        file.backlog = undefined
        return
      }
      await this.#openFile(file)
    }
    const drained = await this.#readOn(file)
    const { position } = file
    const rotated = position && (!named || named.ino !== position.inode || named.dev !== position.device)
    // The old file is read to its end before the new one begins, from its first byte.
    if (drained && rotated) {
      await this.#release(file)
      this.#remembered.delete(file.path)
      if (named?.isFile()) {
        await this.#openFile(file)
        await this.#readOn(file)
      }
    }
  }

  async #openFile(file: Followed): Promise<void> {
    const handle = await open(file.path, 'r')
    const { dev, ino, size } = await handle.stat()
    const remembered = this.#remembered.get(file.path)
    const goesOn = remembered?.inode === ino && remembered.device === dev && remembered.offset <= size
    let offset = 0
    if (goesOn) offset = remembered.offset
    else if (file.backlog !== undefined) offset = await startOfLastLines(handle, size, file.backlog)
    file.handle = handle
    file.backlog = undefined
    file.position = { device: dev, inode: ino, offset }
  }

  // True when everything complete has been delivered.
  async #readOn(file: Followed): Promise<boolean> {
    const { handle, position } = file
    if (!handle || !position) return false
    if ((await handle.stat()).size < position.offset) position.offset = 0
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (let reads = 0; reads < READS_A_ROUND; reads++) {
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, position.offset)
      const { lines, bytes } = splitLines(buffer.subarray(0, bytesRead))
      if (bytes === 0) return true
      if (
        lines.length > 0 &&
        !(await this.#options.send(
          file.path,
          lines.map((line) => describeLine(line)),
        ))
      )
        return false
      position.offset += bytes
      this.#remembered.set(file.path, position)
    }
    return false
  }

  async #release(file: Followed): Promise<void> {
    await file.handle?.close().catch(() => {})
    file.handle = undefined
    file.position = undefined
  }

  #save(): void {
    const state = JSON.stringify(Object.fromEntries(this.#remembered))
    if (state === this.#saved) return
    try {
      writeFileSync(`${this.#stateFile}.new`, state, { mode: 0o600 })
      renameSync(`${this.#stateFile}.new`, this.#stateFile)
      this.#saved = state
    } catch (error) {
      this.#options.log.warn('cannot store log positions', { error: messageOf(error) })
    }
  }
}

/** The complete lines of a piece and how many bytes they take. A line that fills the whole piece is cut, so that reading goes on. */
export function splitLines(piece: Buffer): { lines: string[]; bytes: number } {
  let bytes = piece.lastIndexOf(10) + 1
  if (bytes === 0 && piece.length >= READ_BYTES) bytes = piece.length
  const lines: string[] = []
  for (let from = 0; from < bytes;) {
    const newline = piece.indexOf(10, from)
    const end = newline < 0 || newline >= bytes ? bytes : newline
    for (let at = from; at < end; at += LONGEST_LINE_BYTES) {
      lines.push(piece.toString('utf8', at, Math.min(end, at + LONGEST_LINE_BYTES)).replace(/\r$/, ''))
    }
    from = end + 1
  }
  return { lines: lines.filter((line) => line !== ''), bytes }
}

// Looks back at most 1 MiB.
async function startOfLastLines(handle: FileHandle, size: number, count: number): Promise<number> {
  const from = Math.max(0, size - 1024 * 1024)
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(size - from), 0, size - from, from)
  const tail = buffer.subarray(0, bytesRead)
  // An unfinished last line belongs to what is followed.
  let at = tail.lastIndexOf(10)
  for (let lines = 0; lines < count && at >= 0; lines++) at = at === 0 ? -1 : tail.lastIndexOf(10, at - 1)
  if (at < 0) return from
  return from + at + 1
}

function readState(file: string): Record<string, Position> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, Position>
  } catch {
    return {}
  }
}
