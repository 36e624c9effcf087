import { writeFileSync } from 'node:fs'
import type { Browser } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { FORMS, violations } from '../apps/console/browser.ts'
import type { SamlIdp } from '../apps/server/src/testing/saml.ts'

interface Ground {
  browser: Browser
  idp: SamlIdp
  url: string
}

/** What the server is told of the provider. */
export function metadataFile(idp: SamlIdp, path: string): Record<string, string> {
  writeFileSync(path, idp.metadata)
  return { WHEELHOUSE_SAML_METADATA: path }
}

/** Signing in through a provider whose page is another site to the browser: its form comes without our cookies, and our next step with them. */
export function singleSignOn(ground: () => Ground): void {
  describe('single sign-on', () => {
    /** From our login page to whatever the provider's answer leads to. */
    async function signIn(user: string) {
      const { browser, url } = ground()
      const context = await browser.newContext(FORMS.wide)
      const page = await context.newPage()
      await page.goto(`${url}/login?to=%2Fjobs%3Fq%3Dstate%3Afailed`)
      await page.getByRole('button', { name: 'Sign in with SAML' }).click()
      await page.getByLabel('User').fill(user)
      await page.getByRole('button', { name: 'Go on' }).click()
      return { context, page }
    }

    test('leads to the page that was asked for, with a cookie that no script reads', async () => {
      const { idp, url } = ground()
      idp.user('grace', { attributes: { displayName: 'Grace' } })
      const { context, page } = await signIn('grace')
      await page.waitForURL(`${url}/jobs?q=state:failed`)
      await page.getByRole('navigation').first().waitFor()
      expect(await context.cookies(url)).toEqual([
        expect.objectContaining({ name: 'wheelhouse_session', httpOnly: true, sameSite: 'Lax' }),
      ])
      await context.close()
    })

    test('that is not believed leads back to the login page, in words', async () => {
      const { idp } = ground()
      idp.lie({ tags: { Audience: 'https://other.example' } })
      const { context, page } = await signIn('grace')
      await page.getByText('could not be trusted').waitFor()
      expect(await violations(page)).toEqual([])
      expect((await context.cookies()).map(({ name }) => name)).not.toContain('wheelhouse_session')
      idp.lie({})
      await context.close()
    })
  })
}
