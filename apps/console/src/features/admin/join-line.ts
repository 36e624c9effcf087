/** The line that joins a host. The token is quoted by none: it holds letters, digits, `_` and `-` alone. */
export function joinLine(origin: string, token: string, name: string): string {
  return ['wheelhouse agent join', `--url ${origin}`, `--token ${token}`, ...(name ? [`--name ${name}`] : [])].join(' ')
}

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
