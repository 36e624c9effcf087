import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'

export type ExecResult = AgentPayload<'exec:result'>

/** What is on disk before a task's process exists. */
export interface TaskRecord {
  task_id: string
  attempt: number
  started_at: number
  host_boot_id: string
  /** By which the processes of this run are found again. */
  mark: string
  /** Where the script lies while it runs. Not in the data folder, which commands need not be able to reach by our path. */
  script_folder?: string
}

/** The process that a task became; written after the spawn, for cleaning up after a crash of the agent. */
export interface ProcessRecord {
  pid: number
  started?: number
}

/** One attempt of one task on disk. The folder holds what the agent must not forget until the server has the result. */
export interface Entry {
  folder: string
  record: TaskRecord
  process?: ProcessRecord
  result?: ExecResult
  acknowledged: boolean
}

const RECORD = 'task.json'
const PROCESS = 'process.json'
const RESULT = 'result.json'
const ACKNOWLEDGED = 'acknowledged'
const OUTPUT = 'output.ndjson'

/**
 * Creates the entry of an attempt. When this returns the record is on disk (fsync of file and folders), so that the attempt never runs
 * twice, whatever happens afterwards. Throws when the attempt has an entry already or the disk refuses.
 */
export function createEntry(root: string, record: TaskRecord): Entry {
  const folder = join(root, folderName(record))
  mkdirSync(folder, { mode: 0o700 })
  try {
    writeDurably(folder, RECORD, record)
    syncFolder(root)
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return { folder, record, acknowledged: false }
}

export function writeProcess(entry: Entry, process: ProcessRecord): void {
  // Read only by a later agent of the same boot of the host, so the page cache is durable enough.
  writeWhole(entry.folder, PROCESS, process)
  entry.process = process
}

/** Stores the result; once this returns it survives a crash of agent and host. */
export function writeResult(entry: Entry, result: ExecResult): void {
  writeDurably(entry.folder, RESULT, result)
  entry.result = result
}

/** The server has the result: output and result go, the fact that the attempt ran stays until `pruneEntries`. */
export function acknowledge(entry: Entry): void {
  // If this is lost with the host, the result is delivered again and acknowledged again.
  writeWhole(entry.folder, ACKNOWLEDGED, { at: Date.now() })
  entry.acknowledged = true
  for (const file of [OUTPUT, RESULT, PROCESS]) rmSync(join(entry.folder, file), { force: true })
}

export function removeEntry(entry: Entry): void {
  rmSync(entry.folder, { recursive: true, force: true })
}

/** All entries left by earlier lives of the agent. A folder without a readable record never led to a process, and is removed. */
export function readEntries(root: string): Entry[] {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const entries: Entry[] = []
  for (const name of readdirSync(root)) {
    const folder = join(root, name)
    const record = readJson<TaskRecord>(folder, RECORD)
    if (!record) {
      rmSync(folder, { recursive: true, force: true })
      continue
    }
    entries.push({
      folder,
      record,
      process: readJson<ProcessRecord>(folder, PROCESS),
      result: readJson<ExecResult>(folder, RESULT),
      acknowledged: existsSync(join(folder, ACKNOWLEDGED)),
    })
  }
  return entries
}

/** Complete lines from `offset` on, at most about 256 KiB of them, and the offset after the last one. Nothing there: no lines. */
export async function readLines(path: string, offset: number): Promise<{ lines: string[]; next: number }> {
  let handle: FileHandle
  try {
    handle = await open(path)
  } catch {
    return { lines: [], next: offset }
  }
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(256 * 1024), 0, 256 * 1024, offset)
    const end = buffer.subarray(0, bytesRead).lastIndexOf(10) + 1
    return { lines: buffer.toString('utf8', 0, end).split('\n').slice(0, -1), next: offset + end }
  } finally {
    await handle.close()
  }
}

export const outputPath = (entry: Entry): string => join(entry.folder, OUTPUT)

function folderName({ task_id, attempt }: TaskRecord): string {
  return `${createHash('sha256').update(task_id).digest('hex').slice(0, 40)}.${attempt}`
}

function readJson<T>(folder: string, file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, file), 'utf8')) as T
  } catch {
    return undefined
  }
}

// Renamed into place after the fsync, so that a reader finds either nothing or all of it.
function writeDurably(folder: string, file: string, value: unknown): void {
  writeWhole(folder, file, value, fsyncSync)
  syncFolder(folder)
}

function writeWhole(folder: string, file: string, value: unknown, sync?: (fd: number) => void): void {
  const temporary = join(folder, `${file}.new`)
  const fd = openSync(temporary, 'w', 0o600)
  try {
    writeSync(fd, JSON.stringify(value))
    sync?.(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, join(folder, file))
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
