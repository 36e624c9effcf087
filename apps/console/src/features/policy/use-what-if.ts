import type { WhatIfBody, WhatIfReply } from '@wheelhouse/contract/native/policy'
import { useEffect, useRef, useState } from 'react'
import { whatIf } from '../../api/policy.ts'
import { addUp } from './what-if-sum.ts'

interface Replay {
  running: boolean
  reply?: WhatIfReply | undefined
  error?: unknown
}

// The first answers come soon, so that a long replay shows what it finds while it goes on.
const FIRST_MS = 3000
const THEN_MS = 15_000

/** Replays a draft to the end of its window, part after part, and shows the sum of what is known so far. */
export function useWhatIf() {
  const [replay, setReplay] = useState<Replay>({ running: false })
  const current = useRef<AbortController>(undefined)
  const stop = () => {
    current.current?.abort()
    setReplay((now) => ({ ...now, running: false }))
  }
  useEffect(() => () => current.current?.abort(), [])
  const begin = (body: WhatIfBody) => {
    current.current?.abort()
    const here = new AbortController()
    current.current = here
    setReplay({ running: true })
    const go = async () => {
      let sum: WhatIfReply | undefined
      try {
        for (;;) {
          const part = await whatIf(
            { ...body, budgetMs: sum ? THEN_MS : FIRST_MS, ...(sum?.cursor ? { cursor: sum.cursor } : {}) },
            here.signal,
          )
          if (here.signal.aborted) return
          sum = sum ? addUp(sum, part) : part
          const goesOn = !part.complete && part.cursor !== null
          setReplay({ running: goesOn, reply: sum })
          if (!goesOn) return
        }
      } catch (error) {
        if (!here.signal.aborted) setReplay({ running: false, reply: sum, error })
      }
    }
    void go()
  }
  return { ...replay, begin, stop }
}
