const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** The same act on the command line, as a shell takes it. */
export function execLine(names: readonly string[], command: string): string {
  const run = (host: string): string => `wheelhouse exec ${host} -- sh -c ${quoted(command)}`
  const [only = 'HOST'] = names
  return names.length <= 1 ? run(only) : `for host in ${names.join(' ')}; do ${run('"$host"')}; done`
}
