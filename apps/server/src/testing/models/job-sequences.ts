import * as fc from 'fast-check'
import { type TopicName, TOPICS } from './job-desk.ts'

// What is played on the jobs of the model: commands, as fast-check makes them and makes them smaller.

export type Word = 'SUCCEEDED' | 'FAILED' | 'TIMEOUT' | 'DENIED' | 'CANCELLED' | 'RUNNING'
export type Who = 'ann' | 'bob' | 'cat'

export type Command =
  /** A worker's word, or a verb's end; `stray`: under a claim that there is not. */
  | { kind: 'result'; word: Word; stray: boolean }
  | { kind: 'cancel' }
  | { kind: 'vote'; who: Who; vote: 'approve' | 'reject' }
  /** A dead letter is submitted again: the clone is what the rest is about. */
  | { kind: 'again' }
  | { kind: 'resubmit'; same: boolean }
  | { kind: 'unknown' }
  /** All at once: one of them wins. */
  | { kind: 'race'; cancel: boolean; result: Word | undefined; approve: boolean; reject: boolean }

export interface Sequence {
  topic: TopicName
  /** Its time is over before anybody does anything. */
  timed: boolean
  commands: Command[]
}

const word = fc.constantFrom<Word>('SUCCEEDED', 'SUCCEEDED', 'FAILED', 'TIMEOUT', 'DENIED', 'CANCELLED', 'RUNNING')
const vote = fc.constantFrom('approve' as const, 'approve' as const, 'approve' as const, 'reject' as const)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('result' as const), word, stray: fc.constantFrom(false, false, true) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('vote' as const),
      who: fc.constantFrom<Who>('ann', 'bob', 'bob', 'cat'),
      vote,
    }),
  },
  { weight: 1, arbitrary: fc.constant<Command>({ kind: 'cancel' }) },
  { weight: 1, arbitrary: fc.constant<Command>({ kind: 'again' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('resubmit' as const), same: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant<Command>({ kind: 'unknown' }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('race' as const),
      cancel: fc.boolean(),
      result: fc.constantFrom<Word | undefined>(undefined, 'SUCCEEDED', 'DENIED'),
      approve: fc.boolean(),
      reject: fc.boolean(),
    }),
  },
)
export const topics = Object.keys(TOPICS) as TopicName[]
export const sequences: fc.Arbitrary<Sequence> = fc.record({
  topic: fc.constantFrom<TopicName>(...topics, 'free', 'ask', 'askTwo', 'act', 'actAsk'),
  timed: fc.integer({ min: 0, max: 11 }).map((it) => it === 0),
  commands: fc.array(command, { maxLength: 6 }),
})
