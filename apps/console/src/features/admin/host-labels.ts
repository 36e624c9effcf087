/** Reads `env=production, team=payments`; a text is what is wrong with it. */
export function parseLabels(source: string): Record<string, string> | string {
  const labels: Record<string, string> = {}
  for (const part of source.split(/[,\n]/)) {
    const word = part.trim()
    if (word === '') continue
    const at = word.indexOf('=')
    if (at <= 0) return `Write ${word} as name=value.`
    labels[word.slice(0, at).trim()] = word.slice(at + 1).trim()
  }
  return labels
}
