import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { serve } from '../../kernel/http/index.ts'
import { readValue, writeValue } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { memoryPart, readPart, writePart } from '../../kernel/memory/index.ts'
import { memoryKey, shownElsewhere, shownValue, wrapped } from './value.ts'

/** As long a key as the store takes. */
const MAX_KEY = 200

/** jobs.md §16: contexts and results follow their job's tenant; nothing of another tenant is there. */
export const routes = ({ config, redisPointers }: Kernel) =>
  serve('jobs', jobs.memory, {
    async readMemory({ tx, query, now }) {
      const wanted = memoryKey(query)
      const part = memoryPart(wanted.key)
      const parted = part && (await readPart(tx, part, now))
      if (parted) return shownValue(wanted, Buffer.from(JSON.stringify(parted)))
      const bytes = await readValue(tx, wanted.key, now)
      const elsewhere = bytes ? undefined : await redisPointers?.read(tx.tenantId, wanted.key)
      if (elsewhere) return shownElsewhere(wanted, elsewhere)
      if (!bytes) throw new Fault('RES_NOT_FOUND', {}, { message: 'not found' })
      return shownValue(wanted, wanted.kind === 'memory' ? wrapped(bytes) : bytes)
    },

    async writeMemory({ tx, query, body, now, audit }) {
      const { key } = memoryKey(query)
      if (key.length > MAX_KEY)
        throw new Fault('VAL_SCHEMA', {}, { message: `a key has at most ${MAX_KEY} characters` })
      const bytes = Buffer.from(JSON.stringify(body))
      const part = memoryPart(key)
      if (part && part.kind !== 'summary') await writePart(tx, part, body, now, config.retention.jobsMs)
      else await writeValue(tx, key, bytes, now, config.retention.jobsMs)
      audit({ resourceId: key })
      return { pointer: `redis://${key}`, size_bytes: bytes.length }
    },
  })
