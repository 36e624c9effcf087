/** Distinguished encoding (X.690), as far as certificates and the requests for them need it. */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

function lengthOf(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size])
  const hex = size.toString(16)
  const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes])
}

const element = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body])
}

function oidBytes(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const septets = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) septets.unshift((left & 0x7f) | 0x80)
    bytes.push(...septets)
  }
  return Buffer.from(bytes)
}

const stamp = (at: Date): string =>
  at
    .toISOString()
    .replace(/[-:T]/g, '')
    .replace(/\.\d+Z$/, 'Z')

/** Builders of the elements that a certificate is made of. */
export const der = {
  sequence: (...parts: readonly Buffer[]) => element(TAG.sequence, ...parts),
  set: (...parts: readonly Buffer[]) => element(TAG.set, ...parts),
  /** A number that is not negative, given by its bytes. */
  integer: (bytes: Buffer) =>
    element(TAG.integer, (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes),
  boolean: (value: boolean) => element(TAG.boolean, Buffer.from([value ? 0xff : 0])),
  oid: (text: string) => element(TAG.oid, oidBytes(text)),
  utf8: (text: string) => element(TAG.utf8, Buffer.from(text)),
  octets: (body: Buffer) => element(TAG.octets, body),
  bits: (body: Buffer, unused = 0) => element(TAG.bits, Buffer.from([unused]), body),
  /** RFC 5280 §4.1.2.5: two digits of the year until 2049. */
  time: (at: Date) =>
    at.getUTCFullYear() < 2050
      ? element(TAG.utcTime, Buffer.from(stamp(at).slice(2)))
      : element(TAG.time, Buffer.from(stamp(at))),
  /** A context-specific element, constructed or plain. */
  context: (number: number, body: Buffer, constructed = true) => element((constructed ? 0xa0 : 0x80) | number, body),
}

export interface DerElement {
  tag: number
  body: Buffer
  /** With tag and length, as signatures cover it. */
  whole: Buffer
}

/** The elements that stand one after the other in a buffer. Throws RangeError where it is cut short or not in this encoding. */
export function readDer(buffer: Buffer): DerElement[] {
  const found: DerElement[] = []
  let at = 0
  while (at < buffer.length) {
    const first = buffer[at + 1]
    if (first === undefined) throw new RangeError('A DER element is cut short')
    const wide = first & 0x80 ? first & 0x7f : 0
    if (wide > 3 || (first === 0x80 && wide === 0)) throw new RangeError('A DER length is not in this encoding')
    const size = wide === 0 ? first : buffer.readUIntBE(at + 2, wide)
    const start = at + 2 + wide
    if (start + size > buffer.length) throw new RangeError('A DER element is cut short')
    found.push({
      tag: buffer[at] ?? 0,
      body: buffer.subarray(start, start + size),
      whole: buffer.subarray(at, start + size),
    })
    at = start + size
  }
  return found
}

/** An object identifier's text. */
export function oidText(body: Buffer): string {
  const [first = 0, ...rest] = body
  const arcs = [Math.min(2, Math.floor(first / 40)), first - Math.min(2, Math.floor(first / 40)) * 40]
  let arc = 0
  for (const byte of rest) {
    arc = arc * 128 + (byte & 0x7f)
    if (byte & 0x80) continue
    arcs.push(arc)
    arc = 0
  }
  return arcs.join('.')
}

export const pemOf = (label: string, body: Buffer): string =>
  `-----BEGIN ${label}-----\n${body.toString('base64').replace(/(.{64})(?=.)/g, '$1\n')}\n-----END ${label}-----\n`

/** The bytes of the one PEM block with this label; undefined where there is none. */
export function pemBody(label: string, text: string): Buffer | undefined {
  const found = new RegExp(`-----BEGIN (?:NEW )?${label}-----([A-Za-z0-9+/=\\s]+)-----END (?:NEW )?${label}-----`).exec(
    text,
  )
  return found?.[1] === undefined ? undefined : Buffer.from(found[1].replace(/\s/g, ''), 'base64')
}
