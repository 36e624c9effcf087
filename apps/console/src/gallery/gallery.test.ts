import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FORMS, launch, serveSources, themedViolations, violations, warmUp } from '../../browser.ts'

// The components in a real browser: what axe says, and what the keyboard does.
describe('the components in a browser', () => {
  let browser: Browser
  let context: BrowserContext
  let sources: Awaited<ReturnType<typeof serveSources>>

  beforeAll(async () => {
    sources = await serveSources()
    browser = await launch()
    context = await browser.newContext({ ...FORMS.wide, reducedMotion: 'reduce' })
    await warmUp(context, sources.url)
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await sources?.close()
  })

  const open = async (name: string, theme: 'light' | 'dark' = 'light', within = context): Promise<Page> => {
    const page = await within.newPage()
    await page.addInitScript((wanted) => localStorage.setItem('wheelhouse.theme', wanted), theme)
    await page.goto(`${sources.url}/gallery.html?page=${name}`)
    await page.locator('h1').first().waitFor()
    return page
  }

  test.each(['states', 'controls', 'table', 'object', 'run', 'overlays'])(
    'axe has nothing to say about %s, in either theme',
    async (name) => {
      const page = await open(name)
      expect(await themedViolations(page)).toEqual([])
      await page.close()
    },
  )

  test('on a narrow screen nothing scrolls sideways and axe has nothing to say', async () => {
    const phone = await browser.newContext({ ...FORMS.narrow, reducedMotion: 'reduce' })
    for (const name of ['states', 'table', 'object', 'run']) {
      const page = await open(name, 'light', phone)
      expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), name).toBe(true)
      expect(await violations(page)).toEqual([])
      await page.close()
    }
    await phone.close()
  })

  describe('a table of ten thousand rows', () => {
    test('holds only a screenful in the document, and reaches the last row', async () => {
      const page = await open('table')
      const grid = page.getByRole('grid', { name: 'Instances' })
      expect(await grid.getAttribute('aria-rowcount')).toBe('10001')
      expect(await grid.locator('tr[data-row]').count()).toBeLessThan(80)
      await grid.evaluate((table) => {
        const scroller = table.parentElement
        if (scroller) scroller.scrollTop = scroller.scrollHeight
      })
      await expect.poll(() => grid.locator('tr[data-row]').last().getAttribute('aria-rowindex')).toBe('10001')
      await page.close()
    })
    test('is worked by keys: j moves, x selects, shift-x takes the range, escape clears', async () => {
      const page = await open('table')
      const cursor = page.locator('tr[data-cursor]')
      const selection = page.getByRole('region', { name: 'Selection' })
      for (const key of ['j', 'j']) await page.keyboard.press(key)
      expect(await cursor.getAttribute('aria-rowindex')).toBe('3')
      await page.keyboard.press('x')
      for (const key of ['j', 'j', 'Shift+X']) await page.keyboard.press(key)
      await expect.poll(() => selection.getByRole('status').textContent()).toBe('3 selected')
      await page.keyboard.press('k')
      expect(await cursor.getAttribute('aria-selected')).toBe('true')
      await page.keyboard.press('Escape')
      await expect.poll(() => selection.count()).toBe(0)
      await page.close()
    })
    test('its keys rest while a filter is typed; the filter becomes a token', async () => {
      const page = await open('table')
      await page.keyboard.press('/')
      await page.keyboard.type('status:failed ')
      expect(await page.getByRole('button', { name: 'Remove filter status failed' }).count()).toBe(1)
      await page.keyboard.type('jx')
      expect(await page.getByRole('combobox', { name: 'Filter instances' }).inputValue()).toBe('jx')
      expect(await page.getByRole('region', { name: 'Selection' }).count()).toBe(0)
      await page.close()
    })
    test('a head sorts and says so', async () => {
      const page = await open('table')
      await page.getByRole('button', { name: 'Seen' }).click()
      expect(await page.getByRole('columnheader', { name: 'Seen' }).getAttribute('aria-sort')).toBe('descending')
      await page.close()
    })
  })

  describe('a log', () => {
    test('follows its tail until it is scrolled, then counts what comes and jumps to it', async () => {
      const page = await open('object')
      const log = page.getByRole('log', { name: 'Log of edge-eu-07' })
      const atEnd = () =>
        log.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight < 30)
      await expect.poll(atEnd, { timeout: 10_000 }).toBe(true)
      await log.evaluate((element) => (element.scrollTop -= 2000))
      const jump = page.getByRole('button', { name: /new, jump$/ })
      await jump.waitFor({ timeout: 10_000 })
      expect(await atEnd()).toBe(false)
      await jump.click()
      await expect.poll(atEnd, { timeout: 10_000 }).toBe(true)
      await page.close()
    })
  })

  test('a graph is walked along its edges by arrow keys; one node of it is in the order of tab', async () => {
    const page = await open('run')
    const graph = page.getByRole('group', { name: 'Steps of the run' })
    const node = (name: RegExp) => graph.getByRole('button', { name })
    await node(/Wave 1/).waitFor()
    expect(await graph.locator('[data-step][tabindex="0"]').count()).toBe(1)
    await node(/Wave 1/).focus()
    await page.keyboard.press('ArrowLeft')
    await expect.poll(() => node(/Approve wave 1/).getAttribute('aria-pressed')).toBe('true')
    for (const key of ['ArrowLeft', 'ArrowLeft', 'ArrowUp', 'ArrowDown', 'ArrowLeft']) await page.keyboard.press(key)
    await expect.poll(() => node(/Resolve targets/).getAttribute('aria-pressed')).toBe('true')
    expect(await page.evaluate(() => document.activeElement?.getAttribute('data-step'))).toBe('resolve')
    // There is nothing before the first.
    await page.keyboard.press('ArrowLeft')
    expect(await node(/Resolve targets/).getAttribute('aria-pressed')).toBe('true')
    await page.close()
  })

  test('an editor says what is wrong at its line, and is reached and left by keyboard', async () => {
    const page = await open('run')
    const editor = page.getByRole('textbox', { name: 'Definition' })
    await editor.waitFor()
    await editor.fill('steps:\n  one:\n    type: nothing\n')
    await page.locator('.cm-lint-marker-error').waitFor()
    await editor.focus()
    await page.keyboard.press('Escape')
    await page.keyboard.press('Tab')
    expect(await page.evaluate(() => document.activeElement?.closest('.cm-editor') === null)).toBe(true)
    expect(await themedViolations(page)).toEqual([])
    await page.close()
  })

  test('escape twice leaves the terminal, so that focus is never trapped', async () => {
    const page = await open('object')
    await page.locator('.xterm-helper-textarea').focus()
    const inside = () => page.evaluate(() => document.activeElement?.closest('.xterm') !== null)
    expect(await inside()).toBe(true)
    await page.keyboard.press('Escape')
    await page.keyboard.press('Escape')
    expect(await inside()).toBe(false)
    await page.close()
  })

  test('a chart has a table behind enter', async () => {
    const page = await open('object')
    const chart = page.getByRole('figure', { name: /^Disk: used \d+ % now/ })
    await chart.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('region', { name: 'Disk, table' }).waitFor()
    await page.close()
  })

  test('a button that is off stays, is focusable, and says why', async () => {
    const page = await open('controls')
    const button = page.getByRole('button', { name: 'Suspend' })
    expect(await button.getAttribute('aria-disabled')).toBe('true')
    await button.focus()
    await page.getByRole('tooltip', { name: /Needs instance:suspend/ }).waitFor()
    await page.close()
  })

  test('a chosen theme holds from the first paint', async () => {
    const page = await open('states', 'dark')
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe('dark')
    await page.getByRole('button', { name: 'Theme' }).click()
    await page.getByRole('menuitemcheckbox', { name: 'Light' }).click()
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe('light')
    await page.close()
  })
})
