import { generateKeyPairSync, sign } from 'node:crypto'

/** One DER element. */
function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts)
const oid = (...bytes: number[]): Buffer => der(0x06, Buffer.from(bytes))
const text = (tag: number, value: string): Buffer => der(tag, Buffer.from(value))

const KINDS = {
  ec: {
    pair: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    algorithm: sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)),
  },
  rsa: {
    pair: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    algorithm: sequence(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b), der(0x05)),
  },
}

/** A certificate for `localhost` and 127.0.0.1 that signs itself (SHA-256), with its key, both PEM; good until 2049. */
export function selfSigned(kind: keyof typeof KINDS = 'ec'): { cert: string; key: string } {
  const { pair, algorithm } = KINDS[kind]
  const { publicKey, privateKey } = pair()
  const name = sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), text(0x0c, 'localhost'))))
  const isTrue = der(0x01, Buffer.from([0xff]))
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])))
  const extensions = sequence(
    sequence(oid(0x55, 0x1d, 0x13), isTrue, der(0x04, sequence(isTrue))),
    sequence(oid(0x55, 0x1d, 0x11), der(0x04, names)),
  )
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    algorithm,
    name,
    sequence(text(0x17, '200101000000Z'), text(0x17, '491231235959Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = sign('sha256', body, privateKey)
  const certificate = sequence(body, algorithm, der(0x03, Buffer.from([0]), signature))
  const lines = certificate.toString('base64').replaceAll(/.{1,64}/g, '$&\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
