// Photographs pages in both themes, wide and narrow, and lets axe judge each of them.
//   node apps/console/screenshots.ts [--out DIR] [--only NAME,NAME] [--url http://127.0.0.1:8080 --password …]
// Without --url: the component gallery, served by Vite from the sources. With it: the product of a running server.
// Exit code 1 when axe finds a violation or the page logs an error.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import { createServer } from 'vite'

interface Shot {
  name: string
  path: string
  /** Brings the page into the state to be photographed. */
  act?: (page: Page) => Promise<void>
  only?: 'wide' | 'narrow'
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
const root = fileURLToPath(new URL('.', import.meta.url))
const out = values.out ?? join(root, 'dist', 'shots')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const press = (name: string) => async (page: Page) => {
  await page.getByRole('button', { name, exact: true }).click()
  await page.waitForTimeout(400)
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
  { name: 'object-confirm', path: '/gallery.html?page=object', act: press('Suspend'), only: 'wide' },
  { name: 'run', path: '/gallery.html?page=run' },
  {
    name: 'palette',
    path: '/gallery.html?page=overlays',
    act: async (page) => {
      await press('Open palette')(page)
      await page.getByRole('dialog').waitFor()
      await page.waitForTimeout(300)
    },
  },
  { name: 'keys', path: '/gallery.html?page=overlays', act: press('Open keys'), only: 'wide' },
  { name: 'dialog', path: '/gallery.html?page=overlays', act: press('Open dialog') },
  { name: 'toast', path: '/gallery.html?page=overlays', act: press('Show toast') },
]

const PRODUCT: Shot[] = [
  { name: 'home', path: '/' },
  { name: 'fleet', path: '/fleet' },
  { name: 'jobs', path: '/jobs' },
  { name: 'inbox', path: '/inbox' },
  { name: 'activity', path: '/activity' },
  { name: 'admin', path: '/admin' },
]

const say = (line: string) => process.stdout.write(`${line}\n`)

async function photograph(
  context: BrowserContext,
  base: string,
  shot: Shot,
  theme: 'light' | 'dark',
  form: 'wide' | 'narrow',
) {
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  page.on('pageerror', (error) => errors.push(error.message))
  await page.addInitScript((wanted) => localStorage.setItem('wheelhouse.theme', wanted), theme)
  await page.goto(base + shot.path, { waitUntil: 'load' })
  const stands = await page
    .locator('h1')
    .first()
    .waitFor({ timeout: 20_000 })
    .then(() => true)
    .catch(() => false)
  if (!stands) {
    await page.close()
    return { violations: [], errors: [...errors, 'the page did not appear'] }
  }
  await page.evaluate(() => document.fonts.ready)
  await page.waitForTimeout(700)
  await shot.act?.(page)
  await page.screenshot({ path: join(out, `${shot.name}-${theme}${form === 'narrow' ? '-narrow' : ''}.png`) })
  await page.evaluate(axe)
  const violations = await page.evaluate(async () => {
    const { axe: judge } = window as unknown as {
      axe: { run: () => Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }> }
    }
    const result = await judge.run()
    return result.violations.map(({ id, nodes }) => ({
      id,
      nodes: nodes
        .slice(0, 3)
        .map((node) => `${node.html.slice(0, 160)} — ${(node.failureSummary ?? '').split('\n').slice(1, 3).join(' ')}`),
    }))
  })
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1)
  await page.close()
  return { violations, errors: overflow ? [...errors, 'the page scrolls sideways'] : errors }
}

// The first load of the sources lets Vite find and bundle what they import; pages may reload meanwhile.
async function warmUp(context: BrowserContext, base: string) {
  const page = await context.newPage()
  for (const name of ['overlays', 'object']) {
    await page.goto(`${base}/gallery.html?page=${name}`)
    await page.waitForLoadState('networkidle')
  }
  await page.close()
}

async function signIn(context: BrowserContext, base: string) {
  const page = await context.newPage()
  await page.goto(`${base}/login`)
  await page.getByLabel('Name').fill(values.user)
  await page.getByLabel('Password').fill(values.password ?? '')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation').first().waitFor()
  await page.close()
}

async function main(): Promise<number> {
  mkdirSync(out, { recursive: true })
  const vite = values.url
    ? undefined
    : await createServer({
        root,
        configFile: join(root, 'vite.config.ts'),
        server: { port: 0, hmr: false },
        logLevel: 'warn',
      })
  await vite?.listen()
  const base = values.url ?? vite?.resolvedUrls?.local[0]?.replace(/\/$/, '') ?? ''
  const profile = mkdtempSync(join(tmpdir(), 'wheelhouse-shots-'))
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  const wanted = values.only?.split(',')
  let bad = 0
  try {
    for (const form of ['wide', 'narrow'] as const) {
      const context = await browser.newContext(
        form === 'wide'
          ? { viewport: { width: 1440, height: 900 } }
          : { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
      )
      if (values.url) await signIn(context, base)
      else await warmUp(context, base)
      for (const shot of values.url ? PRODUCT : GALLERY) {
        if (wanted && !wanted.includes(shot.name)) continue
        if (shot.only && shot.only !== form) continue
        for (const theme of ['light', 'dark'] as const) {
          const { violations, errors } = await photograph(context, base, shot, theme, form)
          bad += violations.length + errors.length
          const verdict = violations.length + errors.length === 0 ? 'clean' : 'BAD'
          say(`${verdict.padEnd(6)} ${shot.name} ${theme} ${form}`)
          for (const violation of violations)
            say(`       ${violation.id}\n         ${violation.nodes.join('\n         ')}`)
          for (const error of errors) say(`       ${error.slice(0, 400)}`)
        }
      }
      await context.close()
    }
  } finally {
    await browser.close()
    await vite?.close()
    rmSync(profile, { recursive: true, force: true })
  }
  return bad === 0 ? 0 : 1
}

process.exitCode = await main()
