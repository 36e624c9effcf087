import { setTimeout as pause } from 'node:timers/promises'
import { hostname } from 'node:os'
import { ApiError } from '@wheelhouse/sdk'
import type { Call } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { connect } from '../session.ts'

/** What RFC 8628 adds to the interval when the server says `slow_down`. */
const SLOW_DOWN_S = 5

/** Logs in through a browser, on this or another device (RFC 8628): shows a code and asks until somebody has confirmed it. */
export async function deviceToken(call: Call, url: string): Promise<{ token: string; expiresAt: string }> {
  const { voice, signal } = call
  const { tokens } = connect(url, undefined).native
  const started = await tokens.startDevice({ body: { client: `CLI on ${hostname()}`.slice(0, 128) }, signal })
  voice.warn(`Open ${voice.tint('bold', started.verification_uri)} in a browser and confirm the code`)
  voice.warn(`\n    ${voice.tint('bold', started.user_code)}\n`)
  voice.warn(voice.tint('dim', `or open ${started.verification_uri_complete}`))
  const until = Date.now() + started.expires_in * 1000
  for (let interval = started.interval; Date.now() < until;) {
    await pause(interval * 1000, undefined, { signal })
    try {
      const { access_token: token, expires_in: life } = await tokens.pollDevice({
        body: { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: started.device_code },
        signal,
      })
      return { token, expiresAt: new Date(Date.now() + life * 1000).toISOString() }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (error.code === 'OAUTH_SLOW_DOWN') interval += SLOW_DOWN_S
      else if (error.code === 'OAUTH_DENIED') throw new CliError(EXIT.auth, 'The login was refused in the browser.')
      else if (error.code === 'OAUTH_EXPIRED') break
      else if (error.code !== 'OAUTH_PENDING') throw error
    }
  }
  throw new CliError(EXIT.timeout, 'Nobody confirmed the code in time.', 'Begin again: wheelhouse login --device')
}
