import { readFileSync } from 'node:fs'
import { Fault } from '@wheelhouse/contract'
import type { Clock } from '../clock/index.ts'
import { type Config, ConfigError, isAddress } from '../config/index.ts'
import type { Egress } from '../egress/index.ts'
import { remembered } from './remembered.ts'
import { type ProviderFacts, readCertificates, readMetadata } from './saml-metadata.ts'

const MAX_METADATA_BYTES = 5 * 1024 * 1024

/**
 * What is known of the configured provider: from files, read now (throws ConfigError where they do not say enough), or from its address,
 * fetched at the first use and again when it is old (throws EGRESS_FAILED).
 */
export function openTrust(config: Config['saml'], egress: Egress, clock: Clock): () => Promise<ProviderFacts> {
  const { metadata, issuer = '', entryPoint = '', certificate = '' } = config
  if (metadata === undefined) {
    const facts = { issuer, entryPoint, certificates: read('saml.certificate', certificate, readCertificates) }
    return () => Promise.resolve(facts)
  }
  const understand = (text: string): ProviderFacts => readMetadata(text, config.issuer, clock.now())
  if (isAddress(metadata)) return remembered(clock, () => fetchMetadata(egress, metadata, understand))
  const facts = read('saml.metadata', metadata, understand)
  return () => Promise.resolve(facts)
}

function read<T>(setting: string, path: string, understand: (text: string) => T): T {
  try {
    return understand(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new ConfigError([
      `${setting}: ${path} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
    ])
  }
}

/** The provider's own host was named by the operator, so it may be a private one. */
async function fetchMetadata(
  egress: Egress,
  url: string,
  understand: (text: string) => ProviderFacts,
): Promise<ProviderFacts> {
  const { hostname: host } = new URL(url)
  const reply = await egress.fetch(url, { approved: [host], timeoutMs: 10_000, maxBytes: MAX_METADATA_BYTES })
  const unusable = (why: string, cause?: unknown): Fault =>
    new Fault(
      'EGRESS_FAILED',
      { host, reason: 'protocol' },
      { message: `The metadata at ${host} cannot be used: ${why}`, cause },
    )
  if (reply.status !== 200) throw unusable(`the answer is ${reply.status}`)
  try {
    return understand(reply.text())
  } catch (cause) {
    throw unusable(cause instanceof Error ? cause.message : String(cause), cause)
  }
}
