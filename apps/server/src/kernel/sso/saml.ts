import type { Clock } from '../clock/index.ts'
import type { Config } from '../config/index.ts'
import type { Egress } from '../egress/index.ts'
import type { SamlProvider } from './saml-exchange.ts'

/** Opens the provider's door. Undefined where none is configured, and then nothing is loaded for it. Throws ConfigError for files that cannot be used. */
export async function openSaml(
  config: Config['saml'],
  egress: Egress,
  clock: Clock,
): Promise<SamlProvider | undefined> {
  if (config.metadata === undefined && config.entryPoint === undefined) return undefined
  const { samlProvider } = await import('./saml-provider.ts')
  return samlProvider(config, egress, clock)
}
