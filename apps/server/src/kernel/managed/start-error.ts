/** The start cannot succeed until a person changes something; the message says what. It is shown without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError'
}
