import type { Why } from '../../api/operations.ts'
import { sentence } from '../../ui/age.ts'

/** What a waiting thing waits for and what clears it, a line each, without what the summary says already. */
export function whyLines(why: Pick<Why, 'summary' | 'waitsFor'>): string[] {
  const said = plain(why.summary)
  const lines = why.waitsFor.map(({ text, clears }) =>
    [plain(text) === said ? '' : sentence(text), capital(sentence(clears))].filter((part) => part !== '').join(' '),
  )
  return [...new Set(lines)].filter((line) => line !== '')
}

const plain = (text: string): string => text.trim().replace(/\.$/, '').toLowerCase()

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
