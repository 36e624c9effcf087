import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { area } from '@wheelhouse/contract'
import { ContextEngine, ContextMode } from '@wheelhouse/contract/proto/context_pb'
import { Type } from 'typebox'
import { serve } from '../../kernel/http/index.ts'
import { buildWindow, type Mode, updateMemory } from '../../kernel/memory/index.ts'
import { unary } from './definition.ts'
import { asker, type Door } from './services.ts'

const MODES: Readonly<Partial<Record<ContextMode, Mode>>> = {
  [ContextMode.CHAT]: 'chat',
  [ContextMode.RAG]: 'rag',
}

/** Bytes travel as base64 through the edge, which knows JSON alone. */
const Bytes = Type.String({ maxLength: 3 * 1024 * 1024 })
const Memory = Type.String({ maxLength: 256 })
const ModeName = Type.Union([Type.Literal('raw'), Type.Literal('chat'), Type.Literal('rag')])

const questions = area({
  buildWindow: {
    method: 'POST',
    path: '/cordum.v1.ContextEngine/BuildWindow',
    group: 'Memory',
    summary: 'The messages for a model, from what is said now and what a memory holds',
    permission: 'memory:read',
    rate: 'jobs-tenant',
    verb: null,
    body: Type.Object({
      memoryId: Memory,
      mode: ModeName,
      payload: Bytes,
      maxInputTokens: Type.Integer(),
      maxOutputTokens: Type.Integer(),
    }),
    reply: Type.Object({
      messages: Type.Array(Type.Object({ role: Type.String(), content: Type.String() })),
      inputTokens: Type.Integer(),
      outputTokens: Type.Integer(),
    }),
  },
  updateMemory: {
    method: 'POST',
    path: '/cordum.v1.ContextEngine/UpdateMemory',
    group: 'Memory',
    summary: 'Appends what was said and what a model answered to a memory',
    permission: 'worker:connect',
    rate: 'jobs-tenant',
    verb: 'memory.write',
    body: Type.Object({ memoryId: Memory, mode: ModeName, payload: Bytes, response: Bytes }),
    reply: Type.Object({}),
  },
})

const plain = (text: string): Buffer => Buffer.from(text, 'base64')

const answers = serve('jobs', questions, {
  buildWindow: ({ tx, body, now }) => buildWindow(tx, { ...body, payload: plain(body.payload) }, now),
  async updateMemory({ tx, body, now, audit }) {
    const { memoryId, mode } = body
    const asked = { memoryId, mode, payload: plain(body.payload), response: plain(body.response) }
    await updateMemory(tx, asked, now)
    audit({ resourceId: memoryId })
    return {}
  },
})

interface Windowed {
  messages?: { role: string; content: string }[]
  inputTokens?: number
  outputTokens?: number
}

/** jobs.md §30.3 with §28; beyond it, a credential is asked for, and a memory belongs to its tenant. */
export function contextEngine(door: Door): UntypedServiceImplementation {
  const ask = asker(door, answers)
  const { buildWindow: build, updateMemory: update } = ContextEngine.method
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  return {
    buildWindow: unary(build, door, async (request, caller) => {
      const { memoryId, maxInputTokens, maxOutputTokens } = request
      const payload = base64(request.logicalPayload)
      const mode = MODES[request.mode] ?? 'raw'
      const body = { memoryId, mode, payload, maxInputTokens, maxOutputTokens }
      const { messages = [], inputTokens = 0, outputTokens = 0 }: Windowed = await ask('buildWindow', caller, { body })
      return { messages, inputTokens, outputTokens }
    }),
    updateMemory: unary(update, door, async (request, caller) => {
      const payload = base64(request.logicalPayload)
      const response = base64(request.modelResponse)
      const mode = MODES[request.mode] ?? 'raw'
      await ask('updateMemory', caller, { body: { memoryId: request.memoryId, mode, payload, response } })
      return {}
    }),
  }
}
