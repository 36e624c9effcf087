import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Form, FORMS, launch, overflows, themedViolations, violations } from '../apps/console/browser.ts'
import { type SamlIdp, startIdp } from '../apps/server/src/testing/saml.ts'
import { jobsPages } from './console-jobs.ts'
import { metadataFile, singleSignOn } from './console-sso.ts'
import { processesBelow, type ServerProcess, startServer, until } from './server-process.ts'

const PAGES = [
  '/',
  '/inbox',
  '/inbox?view=decided',
  '/activity',
  '/fleet',
  `/fleet/${hostname()}`,
  `/fleet/${hostname()}?tab=processes`,
  '/jobs',
  '/jobs/queues',
  '/jobs/workers',
  '/jobs/dead',
  '/jobs/locks',
  '/workflows',
  '/workflows/two-doors',
  '/workflows/two-doors?tab=definition',
  '/policy',
  '/policy?tab=history',
  '/packs',
  '/packs?tab=marketplace',
  '/admin',
  '/admin?tab=users',
  '/admin?tab=roles',
  '/admin?tab=principals',
  '/admin?tab=keys',
]
const SECOND = { username: 'ada', password: 'Second-person-1!' }

let home: string
let server: ServerProcess
let browser: Browser
let idp: SamlIdp

async function api(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`${server.connection.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${server.connection.admin.apiKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const answer = JSON.parse((await response.text()) || '{}') as Record<string, unknown>
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${JSON.stringify(answer)}`)
  return answer
}

/** A browser in which somebody is signed in. */
async function signedIn(name: string, password: string, form: Form = 'wide'): Promise<BrowserContext> {
  const context = await browser.newContext(FORMS[form])
  const page = await context.newPage()
  await page.goto(`${server.connection.url}/login`)
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('navigation').first().waitFor()
  await page.close()
  return context
}

/** Opens a page of the console; what the browser complains of is collected. */
async function open(
  context: BrowserContext,
  path: string,
  theme: 'light' | 'dark',
): Promise<{ page: Page; wrong: string[] }> {
  const page = await context.newPage()
  const wrong: string[] = []
  page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()))
  page.on('pageerror', (error) => wrong.push(error.message))
  await page.addInitScript((wanted) => localStorage.setItem('wheelhouse.theme', wanted), theme)
  await page.goto(`${server.connection.url}${path}`)
  await page.locator('h1').first().waitFor()
  await page.evaluate(() => document.fonts.ready)
  return { page, wrong }
}

/** Goes to another page of the console as a link does, and waits until what it shows is there: skeletons are what is not. */
async function walk(page: Page, to: string): Promise<void> {
  const before = await page.evaluate((path) => {
    const was = { path: location.pathname, title: document.title }
    history.pushState({}, '', path)
    return was
  }, to)
  await page.waitForFunction(
    ({ path, title }) =>
      (location.pathname === path || document.title !== title) &&
      document.querySelector('main h1') !== null &&
      document.querySelector('main [aria-busy=true]') === null,
    before,
  )
}

describe('the console on a real installation', () => {
  let admin: BrowserContext

  beforeAll(async () => {
    home = realpathSync(mkdtempSync(join(tmpdir(), 'wh-console-')))
    browser = await launch()
    idp = await startIdp('localhost')
    server = await startServer(join(home, 'data'), {
      WHEELHOUSE_RATE_LIMITS_SCALE: '100',
      ...metadataFile(idp, join(home, 'idp.xml')),
    })
    idp.meet(`${server.connection.url}/api/v1/auth/sso/saml/metadata`)
    await until('the machine itself is in the fleet', async () => {
      const { instances } = await api('GET', '/api/v1/instances')
      return (instances as { status: string }[]).some(({ status }) => status === 'RUNNING')
    })
    admin = await signedIn('admin', server.connection.admin.password)
  })
  afterAll(async () => {
    await browser?.close()
    await idp?.close()
    server?.process.kill('SIGTERM')
    await server?.ended
    await until('no process is left', () => processesBelow(home).length === 0)
    rmSync(home, { recursive: true, force: true })
  })

  test('a wrong password is refused in words', async () => {
    const context = await browser.newContext(FORMS.wide)
    const page = await context.newPage()
    await page.goto(`${server.connection.url}/login`)
    await page.getByLabel('Name').fill('admin')
    await page.getByLabel('Password').fill('not the password')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByText('The name or the password is not right.').first().waitFor()
    expect(await violations(page)).toEqual([])
    await context.close()
  })

  test('a new installation says where to begin, until a job has run', async () => {
    const { page, wrong } = await open(admin, '/', 'light')
    await page.getByRole('heading', { name: 'Begin here' }).waitFor()
    expect(await themedViolations(page)).toEqual([])
    await page.getByRole('link', { name: `Run a command on ${hostname()}` }).click()
    await page.getByPlaceholder('systemctl status').waitFor()
    expect(wrong).toEqual([])
    await page.close()
  })

  test('a command runs on the host, its output comes, and the job says why it was allowed', async () => {
    const { page, wrong } = await open(admin, `/fleet/${hostname()}?tab=command`, 'light')
    await page.getByPlaceholder('systemctl status').fill('echo seen-$((40 + 2))')
    await page.keyboard.press('Enter')
    await page.getByRole('log').getByText('seen-42').waitFor()
    await page.goto(server.connection.url)
    await page.getByRole('list', { name: 'Newest jobs' }).waitFor()
    expect(await page.getByRole('heading', { name: 'Begin here' }).count()).toBe(0)
    await page.goto(`${server.connection.url}/jobs`)
    await page.getByText('fleet.command.execute').first().waitFor()
    await page.getByText('Allowed').first().waitFor()
    expect(wrong).toEqual([])
    await page.close()
  })

  test('what waits is approved by a second person who sees its exact arguments; who asked cannot', async () => {
    await api('POST', '/api/v1/users', { ...SECOND, role: 'approver' })
    await api('POST', '/api/v1/instances', {
      instance_id: hostname(),
      hostname: hostname(),
      provider: 'ssh',
      region: '',
      agent_version: '0.1.0',
      tags: { env: 'production' },
    })
    const held = await api('POST', '/api/v1/commands?wait=0', {
      instanceId: hostname(),
      command: '/bin/sh',
      args: ['-c', 'echo exactly-this'],
    })
    expect(held).toMatchObject({ approvalRequired: true })
    const ada = await signedIn(SECOND.username, SECOND.password)
    const { page } = await open(ada, `/inbox?job=${String(held['jobId'])}`, 'light')
    await page.getByText('exactly-this').first().waitFor()
    expect(await violations(page)).toEqual([])
    await page.getByLabel('Reason, kept in the evidence').fill('looked at it')
    await page.getByRole('button', { name: /^Approve/ }).click()
    await until('the approved command has run', async () => {
      const execution = await api('GET', `/api/v1/commands/${String(held['id'])}`)
      return execution['status'] === 'SUCCEEDED' && String(execution['stdout']).includes('exactly-this')
    })
    await ada.close()
  })

  singleSignOn(() => ({ browser, idp, url: server.connection.url }))

  jobsPages(() => ({ admin, url: server.connection.url, api, open: (path) => open(admin, path, 'light') }))

  test('no page has a violation that axe can find, in either theme', async () => {
    const found: string[] = []
    const { page, wrong } = await open(admin, '/', 'light')
    for (const path of PAGES) {
      await walk(page, path)
      for (const line of [...wrong.splice(0), ...(await themedViolations(page))]) found.push(`${path}: ${line}`)
    }
    await page.close()
    expect(found).toEqual([])
  }, 240_000)

  test('on a phone no page is cut off or scrolls sideways', async () => {
    const phone = await signedIn('admin', server.connection.admin.password, 'narrow')
    const { page } = await open(phone, '/', 'light')
    const { items } = (await api('GET', '/api/v1/jobs')) as { items: { id: string }[] }
    const job = `/jobs/${items[0]?.id}`
    const found: string[] = []
    for (const path of [
      ...PAGES,
      `/fleet/${hostname()}?tab=command`,
      `${job}?tab=input`,
      `${job}?tab=policy`,
      `${job}?tab=trace`,
    ]) {
      await walk(page, path)
      for (const line of await overflows(page)) found.push(`${path}: ${line}`)
    }
    await phone.close()
    expect(found).toEqual([])
  }, 120_000)

  test('the trail proves itself on the page', async () => {
    const { page } = await open(admin, '/activity', 'light')
    await page.getByText('ran command').first().click()
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Verify' }).click()
    await page.getByText('The chain verifies.').first().waitFor()
    await page.close()
  })
})
