import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { createServer } from 'vite'

const root = fileURLToPath(new URL('.', import.meta.url))

/** The browser that the pictures and the browser tests use. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Starts the browser without anything that would reach beyond this machine. Where there is none, it fails and says what to install. */
export async function launch(): Promise<Browser> {
  if (!existsSync(CHROMIUM))
    throw new Error(`There is no ${CHROMIUM}. Install chromium (apt-get install chromium), or name one in CHROMIUM.`)
  return chromium.launch({
    executablePath: CHROMIUM,
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
}

export const FORMS = {
  wide: { viewport: { width: 1440, height: 900 } },
  narrow: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
} as const
export type Form = keyof typeof FORMS

/** Serves the sources, the gallery among them, on a free port of this machine. */
export async function serveSources(): Promise<{ url: string; close: () => Promise<void> }> {
  const vite = await createServer({
    root,
    configFile: join(root, 'vite.config.ts'),
    server: { port: 0, hmr: false },
    logLevel: 'warn',
  })
  await vite.listen()
  const url = vite.resolvedUrls?.local[0]?.replace(/\/$/, '') ?? ''
  return { url, close: () => vite.close() }
}

/** The first load lets Vite find and bundle what the sources import; pages may reload meanwhile. */
export async function warmUp(context: BrowserContext, url: string): Promise<void> {
  const page = await context.newPage()
  for (const name of ['overlays', 'object']) {
    await page.goto(`${url}/gallery.html?page=${name}`)
    await page.waitForLoadState('networkidle')
    await page.locator('h1').first().waitFor()
  }
  await page.close()
}

const axe = () => readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Judge {
  run: (
    options: object,
  ) => Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }>
}

/** What axe finds wrong with the page, a line each; none when it is accessible as far as a machine can tell. With rules: by these alone. */
export async function violations(page: Page, rules?: readonly string[]): Promise<string[]> {
  await page.evaluate(axe())
  return page.evaluate(async (only) => {
    const result = await (window as unknown as { axe: Judge }).axe.run(only ? { runOnly: only } : {})
    return result.violations.flatMap(({ id, nodes }) =>
      nodes
        .slice(0, 3)
        .map(
          (node) =>
            `${id}: ${node.html.slice(0, 160)} (${(node.failureSummary ?? '').split('\n').slice(1, 3).join(' ').trim()})`,
        ),
    )
  }, rules)
}

/** What of a page scrolls sideways, or is cut off where it could not: a line each. What is made to do so, such as code, is left out. */
export async function overflows(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const made =
      'pre, code, nav, table, [role=tablist], [role=region], [role=table], [role=log], .cm-editor, .wh-graph, .xterm'
    const whole = [document.documentElement, ...document.querySelectorAll('#page, #page > *')]
    const within = [...document.querySelectorAll('#page *')].filter(
      (each) => ['auto', 'scroll'].includes(getComputedStyle(each).overflowX) && !each.closest(made),
    )
    return [...new Set([...whole, ...within])]
      .filter((each) => !each.matches('.sr-only') && each.scrollWidth > each.clientWidth + 1)
      .map((each) => `${each.scrollWidth - each.clientWidth} px too wide: ${each.outerHTML.slice(0, 160)}`)
  })
}

/** The same in both themes. What theme alone decides, contrast, is judged in each; the rest once. */
export async function themedViolations(page: Page): Promise<string[]> {
  const found: string[] = []
  for (const theme of ['light', 'dark'] as const) {
    // Colours pass over in a transition; axe would see the middle of it.
    await page.evaluate(async (wanted) => {
      document.documentElement.dataset['theme'] = wanted
      await new Promise(requestAnimationFrame)
      const passing = document.getAnimations().filter((each) => each.effect?.getTiming().iterations !== Infinity)
      await Promise.allSettled(passing.map((each) => each.finished))
    }, theme)
    for (const line of await violations(page, theme === 'dark' ? ['color-contrast'] : undefined))
      found.push(`${theme}: ${line}`)
  }
  return found
}
