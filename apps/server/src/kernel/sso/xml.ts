import { DOMParser } from '@xmldom/xmldom'

/** The namespaces of what we read. */
export const NAMESPACE = {
  assertion: 'urn:oasis:names:tc:SAML:2.0:assertion',
  protocol: 'urn:oasis:names:tc:SAML:2.0:protocol',
  metadata: 'urn:oasis:names:tc:SAML:2.0:metadata',
  signature: 'http://www.w3.org/2000/09/xmldsig#',
} as const

type Vocabulary = keyof typeof NAMESPACE

/** The text is no XML that we read; `message` says why, in words that hold nothing of it. */
export class XmlError extends Error {
  override readonly name = 'XmlError'
}

/** Far above what any provider sends; whoever walks a document may do so by recursion. */
const MAX_DEPTH = 64

/**
 * The root of a document. One with a document type is refused unread, so that there are no entities to expand and nothing to fetch;
 * so is a deep one, and whatever the parser merely warns of.
 */
export function readXml(text: string): Element {
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) throw new XmlError('it has a document type')
  const malformed = (): never => {
    throw new XmlError('it is malformed')
  }
  const { documentElement } = new DOMParser({ errorHandler: malformed }).parseFromString(text, 'text/xml')
  if (!documentElement) return malformed()
  if (isTooDeep(documentElement)) throw new XmlError('it is nested too deep')
  return documentElement
}

function isTooDeep(root: Node): boolean {
  let depth = 1
  for (let node: Node | null = root; node;) {
    if (node.firstChild) {
      if (++depth > MAX_DEPTH) return true
      node = node.firstChild
      continue
    }
    while (node && node !== root && !node.nextSibling) {
      node = node.parentNode
      depth -= 1
    }
    node = node === root ? null : (node?.nextSibling ?? null)
  }
  return false
}

export const is = (element: Element, vocabulary: Vocabulary, name: string): boolean =>
  element.namespaceURI === NAMESPACE[vocabulary] && element.localName === name

const isElement = (node: Node): node is Element => node.nodeType === 1

/** The elements of that name right below, in order. */
export function children(parent: Element, vocabulary: Vocabulary, name: string): Element[] {
  const found: Element[] = []
  for (let node = parent.firstChild; node; node = node.nextSibling)
    if (isElement(node) && is(node, vocabulary, name)) found.push(node)
  return found
}

/** The same along a path of names: for three, all that are three levels below. */
export const descend = (parent: Element, vocabulary: Vocabulary, ...names: string[]): Element[] =>
  names.reduce((found, name) => found.flatMap((each) => children(each, vocabulary, name)), [parent])

/** The text of an element, also where comments divide it. */
export const textOf = (element: Element | undefined): string => element?.textContent ?? ''

/** An attribute; undefined where there is none. */
export const attribute = (element: Element, name: string): string | undefined =>
  element.hasAttribute(name) ? (element.getAttribute(name) ?? undefined) : undefined

/** An instant as SAML writes it (saml-core §1.3.3), in milliseconds; NaN for anything else. */
export const instantOf = (text: string): number =>
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/.test(text) ? Date.parse(text) : Number.NaN
