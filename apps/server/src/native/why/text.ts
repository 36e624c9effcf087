import type { Why } from '@wheelhouse/contract/native/why'

/** The whole answer for a terminal: one line what it is, then what it waits for and what clears that. */
export function sentences({ id, state, since, summary, waitsFor }: Omit<Why, 'text'>): string {
  const lines = waitsFor.flatMap(({ text, since: from, until, clears, ref }) => [
    `- ${text}`,
    ...(from === undefined ? [] : [`  since ${from}`]),
    ...(until === undefined ? [] : [`  until ${until}`]),
    ...(clears === undefined ? [] : [`  clears: ${clears}`]),
    ...(ref === undefined ? [] : [`  see ${ref.kind} ${ref.id}`]),
  ])
  const head = `${id} is ${state} since ${since}.`
  return `${[head, ...(waitsFor.length === 0 ? [summary] : lines)].join('\n')}\n`
}
