import * as fc from 'fast-check'

export interface SequenceOptions {
  sequences: number
  seed: number
  /** Sequences that are played side by side. */
  lanes?: number
}

/** How often something was seen, over all sequences. */
export class Seen {
  readonly counts = new Map<string, number>()

  note(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  missing(wanted: readonly string[]): string[] {
    return wanted.filter((what) => !this.counts.has(what))
  }
}

/**
 * Plays so many random sequences, each new and the same for the same seed, and says of each lane the first one (made as small as it can be)
 * that was refused, with what was wrong. Nothing: all went as the model says.
 */
export async function playSequences<T>(
  arbitrary: fc.Arbitrary<T>,
  play: (sequence: T, lane: number) => Promise<void>,
  { sequences, seed, lanes = 1 }: SequenceOptions,
): Promise<string[]> {
  const shares = Array.from({ length: lanes }, (_, lane) => Math.floor((sequences + lane) / lanes))
  const told = await Promise.all(
    shares.map(async (numRuns, lane) => {
      if (numRuns === 0) return undefined
      const property = fc.asyncProperty(arbitrary, (sequence) => play(sequence, lane))
      const details = await fc.check(property, { numRuns, seed: seed * 1000 + lane })
      if (!details.failed) return undefined
      const { errorInstance, counterexample } = details
      const why = errorInstance instanceof Error ? errorInstance.message : String(errorInstance)
      return `seed ${details.seed}, sequence ${details.numRuns}: ${why}\n${JSON.stringify(counterexample)}`
    }),
  )
  return told.flatMap((each) => (each === undefined ? [] : [each]))
}

/** Every order of a few things. */
export const orders = <T>(all: readonly T[]): T[][] =>
  all.length === 0
    ? [[]]
    : all.flatMap((first, at) => orders(all.filter((_, other) => other !== at)).map((rest) => [first, ...rest]))
