import type { Instant } from '../clock/index.ts'
import { storable, type Tx } from '../db/index.ts'
import { readValue } from '../jobs/index.ts'
import { appendEvent, recentEvents } from './events.ts'
import { memoryName, summaryKey } from './keys.ts'
import { chunksFor } from './parts.ts'

/** How much of a memory goes to the model (jobs.md 28). */
export type Mode = 'raw' | 'chat' | 'rag'

export interface Message {
  role: string
  content: string
}

export interface Window {
  messages: Message[]
  inputTokens: number
  outputTokens: number
}

const DEFAULT_INPUT_TOKENS = 8000
const DEFAULT_OUTPUT_TOKENS = 1024

/** Bytes over four, of each message (jobs.md 28). */
const tokensOf = ({ content }: Message): number => Math.ceil(Buffer.byteLength(content) / 4)

interface Payload {
  text: string
  filePath: string
}

/** What the user says: `prompt`, `message` or `instruction` (with `code_snippet`) of a JSON object, else the text itself. */
function read(bytes: Uint8Array): Payload {
  const text = storable(Buffer.from(bytes).toString())
  const parsed = recordOf(text)
  if (!parsed) return { text, filePath: '' }
  const word = (name: string): string => (typeof parsed[name] === 'string' ? storable(parsed[name]) : '')
  const filePath = word('file_path')
  if (word('prompt') !== '') return { text: word('prompt'), filePath }
  if (word('message') !== '') return { text: word('message'), filePath }
  if (word('instruction') === '') return { text, filePath }
  return { text: [word('instruction'), word('code_snippet')].filter((part) => part !== '').join('\n\n'), filePath }
}

function recordOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

export interface WindowRequest {
  memoryId: string
  mode: Mode
  payload: Uint8Array
  /** 0 = 8000. */
  maxInputTokens: number
  /** 0 = 1024. */
  maxOutputTokens: number
}

/**
 * The messages for a model (jobs.md 28): what the user says, after the history, and after the chunks that fit the file or the summary.
 * The oldest are dropped until the estimate fits; what the user says stays, whatever its size.
 */
export async function buildWindow(tx: Tx, request: WindowRequest, now: Instant): Promise<Window> {
  const { text, filePath } = read(request.payload)
  const before = request.memoryId === '' ? [] : await contextFor(tx, request, filePath, now)
  const user: Message = { role: 'user', content: text }
  const limit = request.maxInputTokens > 0 ? request.maxInputTokens : DEFAULT_INPUT_TOKENS
  let inputTokens = [...before, user].reduce((sum, message) => sum + tokensOf(message), 0)
  while (inputTokens > limit) {
    const oldest = before.shift()
    if (!oldest) break
    inputTokens -= tokensOf(oldest)
  }
  return {
    messages: [...before, user],
    inputTokens,
    outputTokens: request.maxOutputTokens > 0 ? request.maxOutputTokens : DEFAULT_OUTPUT_TOKENS,
  }
}

async function contextFor(tx: Tx, request: WindowRequest, filePath: string, now: Instant): Promise<Message[]> {
  const { memoryId, mode } = request
  if (mode === 'raw') return []
  const history = (await recentEvents(tx, memoryId)).map(({ role, content }) => ({ role, content }))
  if (mode === 'chat') return history
  if (filePath === '') {
    const summary = await summaryOf(tx, memoryId, now)
    return summary === undefined ? history : [...history, { role: 'system', content: summary }]
  }
  const chunks = await chunksFor(tx, memoryId, filePath, now)
  return [...history, ...chunks.map(({ path, content }) => ({ role: 'system', content: `${path}\n${content}` }))]
}

async function summaryOf(tx: Tx, memoryId: string, now: Instant): Promise<string | undefined> {
  const stored = await readValue(tx, summaryKey(memoryId), now)
  if (!stored) return undefined
  const text = stored.toString()
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : text
  } catch {
    return text
  }
}

/** Appends what the user said and what the model answered (jobs.md 28). Nothing without a memory, or in the mode `raw`. */
export async function updateMemory(
  tx: Tx,
  { memoryId, mode, payload, response }: { memoryId: string; mode: Mode; payload: Uint8Array; response: Uint8Array },
  now: Instant,
): Promise<void> {
  if (mode === 'raw' || memoryName(memoryId) === '') return
  const ts = Math.floor(now / 1000)
  await appendEvent(tx, memoryId, { role: 'user', content: read(payload).text, ts })
  await appendEvent(tx, memoryId, { role: 'assistant', content: Buffer.from(response).toString(), ts })
}
