import type { InstanceRow } from './tables.ts'

/** A YAML scalar that reads back as the same text: JSON strings are YAML. */
const text = (value: string): string => (/^[A-Za-z][A-Za-z0-9_.-]*$/.test(value) ? value : JSON.stringify(value))

/** The configuration of an instance rebuilt from its row (fleet.md §2, `GET …/config`). */
export function configYaml({ name, provider, distro, region, extensions }: InstanceRow): string {
  const lines = ['version: "3.0"', `name: ${text(name)}`, 'deployment:', `  provider: ${text(provider)}`]
  if (distro !== null) lines.push(`distro: ${text(distro)}`)
  if (extensions.length > 0) {
    lines.push('extensions:', '  active:', ...extensions.map((each) => `    - ${text(each)}`), '  auto_install: true')
  }
  if (region !== null && provider !== 'docker') {
    lines.push('providers:', `  ${text(provider)}:`, `    region: ${text(region)}`)
  }
  return `${lines.join('\n')}\n`
}
