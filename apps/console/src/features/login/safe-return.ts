/** A place in the console to go to after signing in; anything that could lead elsewhere is the home page. */
export function safeReturn(to: string | undefined): string {
  return to !== undefined && /^\/(?![/\\])/.test(to) && !to.startsWith('/login') ? to : '/'
}
