import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'

/**
 * What a client was told, one JSON line each, written (and with `sync` on disk) before the client goes on: the promise that the server is
 * held to. The clients are not killed, so hundreds of entries a second need not wait for the disk.
 */
export class Journal<Entry extends object> {
  readonly #file: string
  readonly #out: number
  readonly #sync: boolean
  #closed = false

  constructor(file: string, sync = true) {
    this.#sync = sync
    this.#file = file
    this.#out = openSync(file, 'a', 0o600)
  }

  /** After `close` nothing is noted any more. */
  write(entry: Entry): void {
    if (this.#closed) return
    writeSync(this.#out, `${JSON.stringify(entry)}\n`)
    if (this.#sync) fsyncSync(this.#out)
  }

  read(): Entry[] {
    return readLines(this.#file).map((line) => JSON.parse(line) as Entry)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#out)
  }
}

/** The complete lines of a text file; none when it is not there. */
export function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
