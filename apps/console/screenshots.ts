// Photographs pages in both themes, wide and narrow, and lets axe judge each of them.
//   node apps/console/screenshots.ts [--out DIR] [--only NAME,NAME] [--url http://127.0.0.1:8080 --user NAME --password …]
// Without --url: the component gallery, served from the sources. With it: the product of a running server.
// Exit code 1 when axe finds a violation, the page logs an error, or it scrolls sideways.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { BrowserContext, Page } from 'playwright-core'
import { FORMS, launch, serveSources, violations, warmUp, type Form } from './browser.ts'

interface Shot {
  name: string
  path: string
  /** Brings the page into the state to be photographed. */
  act?: (page: Page) => Promise<void>
  only?: Form
}

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    only: { type: 'string' },
    url: { type: 'string' },
    user: { type: 'string', default: 'admin' },
    password: { type: 'string' },
  },
})
const out = values.out ?? join(fileURLToPath(new URL('.', import.meta.url)), 'dist', 'shots')
const say = (line: string) => process.stdout.write(`${line}\n`)

const press =
  (name: string, role: 'button' | 'dialog' = 'button') =>
  async (page: Page) => {
    await page.getByRole('button', { name, exact: true }).click()
    if (role === 'dialog') await page.getByRole('dialog').waitFor()
  }

const GALLERY: Shot[] = [
  { name: 'states', path: '/gallery.html?page=states' },
  { name: 'controls', path: '/gallery.html?page=controls' },
  { name: 'table', path: '/gallery.html?page=table' },
  {
    name: 'table-selected',
    path: '/gallery.html?page=table',
    act: async (page) => {
      const boxes = page.getByRole('checkbox', { name: /^Select / })
      for (const index of [1, 3, 4]) await boxes.nth(index).click({ force: true })
    },
  },
  { name: 'object', path: '/gallery.html?page=object' },
  { name: 'object-confirm', path: '/gallery.html?page=object', act: press('Suspend', 'dialog'), only: 'wide' },
  { name: 'run', path: '/gallery.html?page=run' },
  { name: 'palette', path: '/gallery.html?page=overlays', act: press('Open palette', 'dialog') },
  { name: 'keys', path: '/gallery.html?page=overlays', act: press('Open keys', 'dialog'), only: 'wide' },
  { name: 'dialog', path: '/gallery.html?page=overlays', act: press('Open dialog', 'dialog') },
  { name: 'toast', path: '/gallery.html?page=overlays', act: press('Show toast') },
]

/** Graphs are placed by a worker, editors come with a chunk of their own. */
const settled = async (page: Page) => {
  await page.locator('.react-flow__node, .cm-editor').first().waitFor()
}

const openFirst = async (page: Page) => {
  await page.getByRole('grid').getByRole('link').first().click()
  await settled(page)
}

const PRODUCT: Shot[] = [
  { name: 'home', path: '/' },
  { name: 'fleet', path: '/fleet' },
  {
    name: 'instance',
    path: '/fleet',
    act: async (page) => {
      await page.getByRole('grid').getByRole('link').first().click()
      await page.getByRole('tab', { name: 'Overview' }).waitFor()
    },
  },
  { name: 'jobs', path: '/jobs' },
  { name: 'queues', path: '/jobs/queues' },
  { name: 'workers', path: '/jobs/workers' },
  { name: 'dead-letters', path: '/jobs/dead' },
  { name: 'locks', path: '/jobs/locks' },
  { name: 'workflows', path: '/workflows' },
  { name: 'workflow', path: '/workflows', act: openFirst },
  { name: 'workflow-new', path: '/workflows/new', act: settled },
  {
    name: 'run',
    path: '/workflows',
    act: async (page) => {
      await openFirst(page)
      await page.getByRole('grid').getByRole('link').first().click()
      await settled(page)
    },
  },
  {
    name: 'compare',
    path: '/workflows',
    act: async (page) => {
      await openFirst(page)
      await page.getByRole('grid').getByRole('link').first().click()
      await settled(page)
      await page.getByRole('button', { name: 'Compare', exact: true }).click()
      await page
        .getByRole('region', { name: /this run/i })
        .first()
        .waitFor()
    },
  },
  {
    name: 'start-run',
    path: '/workflows',
    act: async (page) => {
      await openFirst(page)
      await page.getByRole('button', { name: /^Run/ }).click()
      await page.getByRole('dialog').waitFor()
    },
  },
  {
    name: 'job',
    path: '/jobs',
    act: async (page) => {
      await page.getByRole('grid').getByRole('link').first().click()
      await page.getByRole('tab', { name: 'Output' }).waitFor()
    },
  },
  { name: 'policy', path: '/policy' },
  { name: 'policy-studio', path: '/policy?tab=studio', act: settled },
  {
    name: 'policy-what-if',
    path: '/policy?tab=studio&panel=what-if',
    act: async (page) => {
      await page.getByRole('button', { name: 'Replay', exact: true }).click()
      await page.getByText(/decisions? replayed/).waitFor()
    },
  },
  { name: 'policy-history', path: '/policy?tab=history' },
  { name: 'packs', path: '/packs' },
  { name: 'inbox', path: '/inbox' },
  { name: 'activity', path: '/activity' },
  { name: 'hosts', path: '/admin' },
  { name: 'users', path: '/admin?tab=users' },
  { name: 'roles', path: '/admin?tab=roles' },
  { name: 'principals', path: '/admin?tab=principals' },
  { name: 'keys', path: '/admin?tab=keys' },
]

async function photograph(
  context: BrowserContext,
  base: string,
  shot: Shot,
  theme: 'light' | 'dark',
  form: Form,
): Promise<string[]> {
  const page = await context.newPage()
  const wrong: string[] = []
  page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()))
  page.on('pageerror', (error) => wrong.push(error.message))
  await page.addInitScript((wanted) => localStorage.setItem('wheelhouse.theme', wanted), theme)
  try {
    await page.goto(base + shot.path, { waitUntil: 'load' })
    await page.locator('h1').first().waitFor({ timeout: 20_000 })
    await page.evaluate(() => document.fonts.ready)
    await shot.act?.(page)
    // Charts, virtual rows and what comes in without a mark to wait for: a picture may wait, a test may not.
    await page.waitForTimeout(900)
    await page.screenshot({ path: join(out, `${shot.name}-${theme}${form === 'narrow' ? '-narrow' : ''}.png`) })
    wrong.push(...(await violations(page)))
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1))
      wrong.push('the page scrolls sideways')
  } catch (error) {
    wrong.push(String(error))
  } finally {
    await page.close()
  }
  return wrong
}

async function signIn(context: BrowserContext, base: string) {
  const page = await context.newPage()
  await page.goto(`${base}/login`)
  await page.getByLabel('Name').fill(values.user)
  await page.getByLabel('Password').fill(values.password ?? '')
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('navigation').first().waitFor()
  await page.close()
}

async function main(): Promise<number> {
  mkdirSync(out, { recursive: true })
  const sources = values.url ? undefined : await serveSources()
  const base = values.url ?? sources?.url ?? ''
  const browser = await launch()
  const wanted = values.only?.split(',')
  let bad = 0
  try {
    for (const form of ['wide', 'narrow'] as const) {
      const context = await browser.newContext(FORMS[form])
      await (values.url ? signIn(context, base) : warmUp(context, base))
      for (const shot of values.url ? PRODUCT : GALLERY) {
        if ((wanted && !wanted.includes(shot.name)) || (shot.only && shot.only !== form)) continue
        for (const theme of ['light', 'dark'] as const) {
          const wrong = await photograph(context, base, shot, theme, form)
          bad += wrong.length
          say(`${(wrong.length === 0 ? 'clean' : 'BAD').padEnd(6)} ${shot.name} ${theme} ${form}`)
          for (const line of wrong) say(`       ${line.slice(0, 500)}`)
        }
      }
      await context.close()
    }
  } finally {
    await browser.close()
    await sources?.close()
  }
  return bad === 0 ? 0 : 1
}

process.exitCode = await main()
