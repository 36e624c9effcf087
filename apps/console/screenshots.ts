// Photographs pages in both themes, wide and narrow, and lets axe judge each of them.
//   node apps/console/screenshots.ts [--out DIR] [--only NAME,NAME] [--form wide] [--theme dark]
//     [--url http://127.0.0.1:8080 --user NAME --password …]
// Without --url: the component gallery, served from the sources. With it: the product of a running server.
// Exit code 1 when axe finds a violation, the page logs an error, or it scrolls sideways.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { BrowserContext } from 'playwright-core'
import { FORMS, launch, overflows, serveSources, violations, warmUp, type Form } from './browser.ts'
import { GALLERY, PRODUCT, type Shot } from './shots.ts'

type Theme = 'light' | 'dark'
const PER_BROWSER = 16

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    only: { type: 'string' },
    form: { type: 'string' },
    theme: { type: 'string' },
    url: { type: 'string' },
    user: { type: 'string', default: 'admin' },
    password: { type: 'string' },
  },
})
const out = values.out ?? join(fileURLToPath(new URL('.', import.meta.url)), 'dist', 'shots')
const say = (line: string) => process.stdout.write(`${line}\n`)

/** One picture in a tab of its own, which is closed again; what is wrong with the page. */
async function photograph(context: BrowserContext, base: string, shot: Shot, file: string): Promise<string[]> {
  const page = await context.newPage()
  // What a picture needs may not be there on a young installation: then it is shown as it is, and said to be wrong.
  page.setDefaultTimeout(12_000)
  const wrong: string[] = []
  // An answer of 4xx is what some pictures are about; the page that cannot bear it says so in another way.
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 40[134]/.test(message.text())) wrong.push(message.text())
  })
  page.on('pageerror', (error) => wrong.push(error.message))
  try {
    await page.goto(base + shot.path, { waitUntil: 'load' })
    await page.locator('h1').first().waitFor({ timeout: 20_000 })
    await page.evaluate(() => document.fonts.ready)
    await shot.act?.(page)
    // Charts, virtual rows and what comes in without a mark to wait for: a picture may wait, a test may not.
    await page.waitForTimeout(900)
    wrong.push(...(await violations(page)))
    wrong.push(...(await overflows(page)))
  } catch (error) {
    wrong.push(String(error))
  }
  // Also of a page that did not come to its state: the picture shows why.
  await page.screenshot({ path: file }).catch((error: unknown) => wrong.push(String(error)))
  await page.close()
  return wrong
}

type State = Awaited<ReturnType<BrowserContext['storageState']>>

/** Signs in once; the session is lent to every browser that follows. */
async function signIn(base: string): Promise<State> {
  const browser = await launch()
  try {
    const context = await browser.newContext(FORMS.wide)
    const page = await context.newPage()
    await page.goto(`${base}/login`)
    await page.getByLabel('Name').fill(values.user)
    await page.getByLabel('Password').fill(values.password ?? '')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('navigation').first().waitFor()
    return await context.storageState()
  } finally {
    await browser.close()
  }
}

/** A few pictures in one form by a browser of their own: one that has opened hundreds of tabs opens no more. */
async function photographSome(
  base: string,
  shots: readonly Shot[],
  state: State | undefined,
  form: Form,
  theme: Theme,
): Promise<number> {
  let bad = 0
  const browser = await launch()
  const begin = async (storageState: State | undefined): Promise<BrowserContext> => {
    const context = await browser.newContext({ ...FORMS[form], ...(storageState ? { storageState } : {}) })
    await context.addInitScript((wanted) => localStorage.setItem('wheelhouse.theme', wanted), theme)
    return context
  }
  try {
    const [known, stranger] = [await begin(state), await begin(undefined)]
    if (!state) await warmUp(known, base)
    for (const shot of shots) {
      const file = join(out, `${shot.name}-${theme}${form === 'narrow' ? '-narrow' : ''}.png`)
      const wrong = await photograph(shot.signedOut ? stranger : known, base, shot, file)
      bad += wrong.length
      say(`${(wrong.length === 0 ? 'clean' : 'BAD').padEnd(6)} ${shot.name} ${theme} ${form}`)
      for (const line of wrong) say(`       ${line.slice(0, 500)}`)
    }
  } finally {
    await browser.close()
  }
  return bad
}

async function main(): Promise<number> {
  mkdirSync(out, { recursive: true })
  const sources = values.url ? undefined : await serveSources()
  const base = values.url ?? sources?.url ?? ''
  const among = (list: string | undefined, name: string): boolean => !list || list.split(',').includes(name)
  let bad = 0
  try {
    const state = values.url ? await signIn(base) : undefined
    for (const form of ['wide', 'narrow'] as const)
      for (const theme of ['light', 'dark'] as const) {
        if (!among(values.form, form) || !among(values.theme, theme)) continue
        const shots = (values.url ? PRODUCT : GALLERY).filter(
          ({ name, only }) => among(values.only, name) && (!only || only === form),
        )
        for (let at = 0; at < shots.length; at += PER_BROWSER)
          bad += await photographSome(base, shots.slice(at, at + PER_BROWSER), state, form, theme)
      }
  } finally {
    await sources?.close()
  }
  return bad === 0 ? 0 : 1
}

process.exitCode = await main()
