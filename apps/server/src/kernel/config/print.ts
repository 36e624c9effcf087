import { stringify } from 'yaml'
import type { Explained } from './load.ts'
import { CLIENT_VARIABLES, CONFIG_FILE_FLAG, CONFIG_FILE_VARIABLE, SETTINGS, type Setting } from './settings.ts'
import { durationText } from './values.ts'

/** The effective configuration as text of a `wheelhouse.yaml`, each line with its source; secrets are masked. */
export function printConfig({ config, sources }: Explained): string {
  const lines: string[] = []
  let open: readonly string[] = []
  for (const { key, path, schema } of SETTINGS) {
    const from = sources.get(key)
    if (!from) continue
    const groups = path.slice(0, -1)
    const shared = groups.findIndex((name, depth) => open[depth] !== name)
    if (shared >= 0) groups.slice(shared).forEach((name, at) => lines.push(`${'  '.repeat(shared + at)}${name}:`))
    open = groups
    const value = path.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], config)
    const shown = schema.secret ? '"********"' : show(schema, value)
    const source = from.source === 'default' ? 'default' : `${from.source}: ${from.name}`
    lines.push(`${'  '.repeat(groups.length)}${path.at(-1)}: ${shown} # ${source}`)
  }
  return `${lines.join('\n')}\n`
}

/** The Markdown body of the configuration reference; `npm run generate` writes it to docs/configuration.md. */
export function configReference(): string {
  const groups = Map.groupBy(SETTINGS, ({ path }) => (path.length > 1 ? (path[0] ?? '') : ''))
  const synonyms = SETTINGS.filter(({ variables }) => variables.length > 1)
  return [
    '# Configuration',
    '',
    'Generated from the schema in `apps/server/src/kernel/config/schema.ts` by `npm run generate`.',
    '',
    'A setting comes from, in this order: a flag (`--port 8080` or `--port=8080`), an environment variable, the file',
    `\`wheelhouse.yaml\` in the working folder (another one: \`${CONFIG_FILE_FLAG} FILE\` or \`${CONFIG_FILE_VARIABLE}\`), its default. Lists replace`,
    'each other. An empty variable counts as not set. Unknown flags, unknown `WHEELHOUSE_*` variables and unknown keys of the file',
    'stop the start with the nearest known name. Durations are written `90s`, `24h`, `7d`; lists in variables and flags have commas.',
    '`npm start -- config` prints the configuration in force, each value with its source, and ends.',
    '',
    ...[...groups].flatMap(([group, settings]) => [
      group ? `## ${group}` : '## General',
      '',
      '| Key | Variable | Default | Meaning |',
      '|---|---|---|---|',
      ...settings.map(row),
      '',
    ]),
    '## Other names',
    '',
    'These variables are read where the first one is not set; most are those of the reference systems.',
    '',
    '| Variable | Read as |',
    '|---|---|',
    ...synonyms.flatMap(({ variables: [own, ...others] }) => others.map((name) => `| \`${name}\` | \`${own}\` |`)),
    '',
    `Variables of the CLI and the agent, which the server leaves alone: ${CLIENT_VARIABLES.map((name) => `\`${name}\``).join(', ')}.`,
    '',
  ].join('\n')
}

function row({ key, variables: [variable], schema }: Setting): string {
  const shown = 'default' in schema ? `\`${show(schema, schema.default)}\`` : '–'
  const choices = 'enum' in schema && Array.isArray(schema.enum) ? ` One of ${schema.enum.join(', ')}.` : ''
  return `| \`${key}\` | \`${variable}\` | ${shown} | ${schema.description}${choices}${schema.secret ? ' Secret.' : ''} |`
}

function show(schema: Setting['schema'], value: unknown): string {
  if (schema.kind === 'duration') return durationText(Number(value))
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()
}
