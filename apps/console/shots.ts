import { hostname } from 'node:os'
import type { Page } from 'playwright-core'
import type { Form } from './browser.ts'

/** One picture: where it is, and what brings the page into the state to be shown. */
export interface Shot {
  name: string
  path: string
  act?: (page: Page) => Promise<void>
  only?: Form
  /** Seen by who has not signed in. */
  signedOut?: boolean
}

const press =
  (name: string | RegExp, opens?: 'dialog') =>
  async (page: Page): Promise<void> => {
    await page.getByRole('button', { name, exact: true }).first().click()
    if (opens) await page.getByRole('dialog').waitFor()
  }

/** The component gallery, served from the sources. */
export const GALLERY: readonly Shot[] = [
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
const settled = async (page: Page): Promise<void> => {
  await page.locator('.react-flow__node, .cm-editor').first().waitFor()
}

const openRow = async (page: Page, text?: string | RegExp): Promise<void> => {
  const links = page.getByRole('grid').getByRole('link')
  await links.first().waitFor()
  const wanted = text === undefined ? links : links.filter({ hasText: text })
  // What is wanted need not be there: then the first one stands for it.
  await ((await wanted.count()) > 0 ? wanted : links).first().click()
}

/** A part of the first job of the list. */
const job =
  (tab?: string) =>
  async (page: Page): Promise<void> => {
    await openRow(page)
    await page.getByRole('tab', { name: 'Output' }).waitFor()
    if (tab) await page.getByRole('tab', { name: tab }).click()
  }

/** A part of the machine that this runs on: its agent answers. */
const instance =
  (tab?: string) =>
  async (page: Page): Promise<void> => {
    await openRow(page, hostname())
    await page.getByRole('tab', { name: 'Overview' }).waitFor()
    // A tab may bear a count behind its name.
    if (tab) await page.getByRole('tab', { name: new RegExp(`^${tab}`) }).click()
  }

const workflow = async (page: Page): Promise<void> => {
  await openRow(page)
  await settled(page)
}

/** A part of the newest run of any workflow. */
const run =
  (tab?: string) =>
  async (page: Page): Promise<void> => {
    await workflow(page)
    await openRow(page)
    await page.getByRole('tab', { name: 'Steps' }).waitFor()
    if (tab) await page.getByRole('tab', { name: tab }).click()
    else await settled(page)
  }

/** Every page of the product, and its parts that look like pages. */
export const PRODUCT: readonly Shot[] = [
  { name: 'login', path: '/login', signedOut: true },
  { name: 'home', path: '/' },
  { name: 'palette', path: '/', act: async (page) => void (await page.keyboard.press('Control+k')) },
  { name: 'shortcuts', path: '/', act: async (page) => void (await page.keyboard.press('?')), only: 'wide' },
  { name: 'inbox', path: '/inbox' },
  { name: 'inbox-steps', path: '/inbox?view=step' },
  {
    name: 'inbox-item',
    path: '/inbox?view=job',
    act: async (page) => {
      await page.getByRole('list', { name: 'Requests' }).getByRole('button', { expanded: false }).first().click()
    },
  },
  { name: 'inbox-decided', path: '/inbox?view=decided' },
  { name: 'activity', path: '/activity' },
  { name: 'fleet', path: '/fleet' },
  { name: 'fleet-grouped', path: '/fleet?group=env' },
  { name: 'add-host', path: '/fleet', act: press('Add a host'), only: 'wide' },
  { name: 'instance', path: '/fleet', act: instance() },
  { name: 'instance-logs', path: '/fleet', act: instance('Logs') },
  { name: 'instance-processes', path: '/fleet', act: instance('Processes') },
  { name: 'instance-command', path: '/fleet', act: instance('Command') },
  {
    name: 'instance-terminal',
    path: '/fleet',
    act: async (page) => {
      await instance('Terminal')(page)
      const open = page.getByRole('button', { name: /^Open/ })
      if ((await open.count()) > 0) await open.first().click()
    },
  },
  { name: 'instance-events', path: '/fleet', act: instance('Events') },
  { name: 'workflows', path: '/workflows' },
  { name: 'workflow', path: '/workflows', act: workflow },
  {
    name: 'workflow-editor',
    path: '/workflows',
    act: async (page) => {
      await workflow(page)
      await page.getByRole('tab', { name: 'Definition' }).click()
      await page.locator('.cm-editor').first().waitFor()
    },
  },
  {
    name: 'start-run',
    path: '/workflows',
    act: async (page) => {
      await workflow(page)
      await press(/^Run/, 'dialog')(page)
    },
  },
  { name: 'workflow-new', path: '/workflows/new', act: settled },
  { name: 'run', path: '/workflows', act: run() },
  { name: 'run-timeline', path: '/workflows', act: run('Timeline') },
  { name: 'run-data', path: '/workflows', act: run('Input and output') },
  { name: 'run-chat', path: '/workflows', act: run('Chat') },
  {
    name: 'compare',
    path: '/workflows',
    act: async (page) => {
      await run()(page)
      await press('Compare')(page)
      await page
        .getByRole('region', { name: /this run/i })
        .first()
        .waitFor()
    },
  },
  { name: 'jobs', path: '/jobs' },
  { name: 'job', path: '/jobs', act: job() },
  { name: 'job-failed', path: '/jobs?q=state:FAILED', act: job() },
  { name: 'job-denied', path: '/jobs?q=state:DENIED', act: job() },
  { name: 'job-held', path: '/jobs?q=state:APPROVAL_REQUIRED', act: job('Policy') },
  { name: 'job-input', path: '/jobs', act: job('Input') },
  { name: 'job-policy', path: '/jobs', act: job('Policy') },
  { name: 'job-timeline', path: '/jobs', act: job('Timeline') },
  { name: 'job-trace', path: '/jobs', act: job('Trace') },
  { name: 'queues', path: '/jobs/queues' },
  { name: 'workers', path: '/jobs/workers' },
  { name: 'dead-letters', path: '/jobs/dead' },
  { name: 'locks', path: '/jobs/locks' },
  { name: 'policy', path: '/policy' },
  { name: 'policy-studio', path: '/policy?tab=studio', act: settled },
  { name: 'policy-tests', path: '/policy?tab=studio&panel=tests', act: settled },
  { name: 'policy-simulate', path: '/policy?tab=studio&panel=simulate', act: settled },
  {
    name: 'policy-what-if',
    path: '/policy?tab=studio&panel=what-if',
    act: async (page) => {
      await settled(page)
      // A draft shows more than what is in force already.
      const drafts = page.getByRole('navigation', { name: 'Bundles' }).getByRole('button', { name: /^not in force/ })
      if ((await drafts.count()) > 0) await drafts.first().click()
      await press('Replay')(page)
      await page.getByText(/decisions? replayed/).waitFor()
    },
  },
  { name: 'policy-history', path: '/policy?tab=history' },
  { name: 'packs', path: '/packs' },
  {
    name: 'pack',
    path: '/packs',
    act: async (page) => {
      await openRow(page)
      await page.getByRole('dialog').waitFor()
    },
  },
  { name: 'install-pack', path: '/packs', act: press('Install a pack', 'dialog') },
  { name: 'marketplace', path: '/packs?tab=marketplace' },
  { name: 'hosts', path: '/admin' },
  { name: 'users', path: '/admin?tab=users' },
  { name: 'roles', path: '/admin?tab=roles' },
  { name: 'principals', path: '/admin?tab=principals' },
  {
    name: 'principal',
    path: '/admin?tab=principals',
    act: async (page) => {
      await openRow(page)
      await page.getByRole('dialog').waitFor()
    },
  },
  { name: 'keys', path: '/admin?tab=keys' },
  { name: 'device', path: '/device' },
  { name: 'device-wrong', path: '/device?user_code=WRNG-CODE' },
  { name: 'not-found', path: '/no-such-page' },
  { name: 'no-such-job', path: '/jobs/no-such-job' },
  { name: 'no-such-run', path: '/runs/no-such-run' },
  { name: 'no-such-instance', path: '/fleet/no-such-instance' },
  { name: 'no-such-workflow', path: '/workflows/no-such-workflow' },
]
