import type { BrowserContext, Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { themedViolations } from '../apps/console/browser.ts'
import { until } from './server-process.ts'

export interface ConsoleWorld {
  admin: BrowserContext
  url: string
  api(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>
  open(path: string): Promise<{ page: Page; wrong: string[] }>
}

const definition = (after: string) => `id: two-doors
name: Two doors
input_schema:
  type: object
  required: [name]
  properties:
    name: { type: string, title: Who is greeted, default: world }
steps:
  ask:
    type: approval
    name: May we greet?
    input: { who: '\${input.name}' }
  greeting:
    type: transform
    depends_on: [${after}]
    input: { text: 'Hello, \${input.name}!' }
  tell:
    type: notify
    depends_on: [greeting]
    input: { level: INFO, message: '\${steps.greeting.output.text}' }
`

const BUNDLE = `rules:
  - id: studio-held
    match: { topics: ["job.studio.*"] }
    decision: require_approval
    reason: painting is looked at first
tests:
  - name: painting is asked about
    request: { topic: job.studio.paint }
    expect: require_approval
  - name: everything else goes on
    request: { topic: job.other.thing }
    expect: allow
`

/** Replaces what stands in an editor. */
const write = (page: Page, label: string, text: string) => page.getByRole('textbox', { name: label }).fill(text)
const runIdOf = (page: Page) => /\/runs\/([^/?]+)/.exec(page.url())?.[1] ?? ''

/** Workflows, policy and operations of jobs as a person works with them; on the installation that the caller started. */
export function jobsPages(world: () => ConsoleWorld): void {
  describe('workflows, policy and jobs', () => {
    test('a workflow is written, run, approved in the inbox, run again from a step with another input, and compared', async () => {
      const { open, url, api } = world()
      const { page, wrong } = await open('/workflows/new')
      await page.getByText('It can run').waitFor()
      await write(page, 'Definition', definition('nobody'))
      const problem = page.getByRole('list', { name: 'Problems' }).getByRole('listitem').filter({ hasText: 'nobody' })
      await problem.first().waitFor()
      const line = Number(/line (\d+)/.exec((await problem.first().textContent()) ?? '')?.[1])
      // At the step, or at the line of it that is wrong.
      expect(
        definition('nobody')
          .split('\n')
          .slice(line - 1, line + 2)
          .join('\n'),
      ).toContain('nobody')
      expect(await page.getByRole('button', { name: 'Create' }).getAttribute('aria-disabled')).toBe('true')
      expect(await themedViolations(page)).toEqual([])

      await write(page, 'Definition', definition('ask'))
      await page.getByText('It can run').waitFor()
      await page.getByRole('button', { name: 'Create' }).click()
      await page.waitForURL('**/workflows/two-doors')
      await page.getByRole('button', { name: /^Run/ }).click()
      const dialog = page.getByRole('dialog')
      expect(await dialog.getByLabel('Who is greeted').inputValue()).toBe('world')
      await dialog.getByLabel('Who is greeted').fill('Ada')
      expect(await themedViolations(page)).toEqual([])
      await dialog.getByRole('button', { name: 'Run', exact: true }).click()
      await page.waitForURL('**/runs/*')
      const first = runIdOf(page)
      await page.getByRole('complementary', { name: 'Step ask' }).getByRole('button', { name: 'Approve' }).waitFor()
      expect(await themedViolations(page)).toEqual([])

      // Come to by links, where the graph of the workflow stood before: it is fitted into its frame all the same.
      await page.goto(`${url}/workflows/two-doors`)
      await page.locator('[data-step=ask]').waitFor()
      await page.getByRole('grid').getByRole('link').first().click()
      await page.waitForURL('**/runs/*')
      const graph = page.getByRole('group', { name: 'Steps of the run' })
      await expect.poll(() => graph.locator('[data-step]').count()).toBe(3)
      await expect
        .poll(() =>
          graph.evaluate((frame) => {
            const { left, right, top, bottom } = frame.getBoundingClientRect()
            return [...frame.querySelectorAll('[data-step]')]
              .map((step) => step.getBoundingClientRect())
              .filter((box) => box.left < left || box.right > right || box.top < top || box.bottom > bottom).length
          }),
        )
        .toBe(0)

      // The list as it stood before something changed: what is shown is not what is asked for any more.
      let stale = true
      await page.route('**/wheelhouse/api/v1/inbox?**', async (route) => {
        const answer = await route.fetch()
        const body = (await answer.json()) as { items: { hash: string }[] }
        if (stale) for (const item of body.items) item.hash = 'of before'
        stale = false
        await route.fulfill({ response: answer, json: body })
      })
      await page.goto(`${url}/inbox?run=${first}`)
      await page.getByRole('region', { name: 'Exact arguments' }).getByText('"Ada"').waitFor()
      await page.getByLabel('Reason, kept in the evidence').fill('she is expected')
      await page.getByRole('button', { name: /^Approve/ }).click()
      await page.getByText('It changed since it was shown').waitFor()
      expect((await api('GET', `/api/v1/workflow-runs/${first}`))['status']).toBe('waiting')
      expect(await themedViolations(page)).toEqual([])
      await page
        .getByText(/Binds exactly these arguments, hash/)
        .filter({ hasNotText: 'of before' })
        .waitFor()
      await page.getByRole('button', { name: /^Approve/ }).click()
      await page.getByText('Approved two-doors: May we greet?').first().waitFor()

      await page.goto(`${url}/runs/${first}?step=greeting`)
      await page
        .getByText(/^Done in/)
        .first()
        .waitFor()
      await page.getByRole('button', { name: 'Rerun from here' }).click()
      await page.getByRole('dialog').getByLabel('Who is greeted').fill('Grace')
      await page.getByRole('dialog').getByRole('button', { name: 'Rerun', exact: true }).click()
      await page.waitForURL((at) => at.pathname.startsWith('/runs/') && !at.pathname.includes(first))
      // What was approved for one input is not approved for another.
      const again = page.getByRole('complementary', { name: 'Step ask' })
      await again.getByText('"Grace"').waitFor()
      await again.getByRole('button', { name: 'Approve' }).click()
      await page
        .getByText(/^Done in/)
        .first()
        .waitFor()
      expect(await api('GET', `/api/v1/workflow-runs/${runIdOf(page)}`)).toMatchObject({
        rerun_of: first,
        steps: { greeting: { output: { text: 'Hello, Grace!' } } },
      })
      // A run is a part of its workflow: the navigation says so, and its timeline speaks of steps by their names.
      await page
        .getByRole('link', { name: 'Workflows', exact: true })
        .and(page.locator('[aria-current=page]'))
        .waitFor()
      await page.getByRole('tab', { name: 'Timeline' }).click()
      await page.getByText('May we greet? waits for a person').waitFor()
      await page.getByText('The run is done').waitFor()
      await page.getByRole('button', { name: 'Compare' }).click()
      await page.getByRole('row', { name: /greeting.*output/ }).waitFor()
      await page.getByText('"Ada"').first().waitFor()
      expect(await themedViolations(page)).toEqual([])
      const { run_id: other } = await api('POST', '/api/v1/workflows/two-doors/runs', { name: 'Lin' })
      await api('POST', `/api/v1/workflows/two-doors/runs/${String(other)}/cancel`, {})
      await page.goto(`${url}/runs/${String(other)}`)
      await page.getByText('The run was cancelled').waitFor()
      expect(await page.getByText('The run failed').count()).toBe(0)
      expect(wrong.filter((text) => !text.includes('409'))).toEqual([])
      await page.close()
    })

    test('a policy is written, its tests run, what it would have changed is seen; published it holds a job, rolled back it does not', async () => {
      const { open, api } = world()
      const submit = async () =>
        String((await api('POST', '/api/v1/jobs', { topic: 'job.studio.paint', prompt: 'red' }))['job_id'])
      const stateOf = async (id: string) => (await api('GET', `/api/v1/jobs/${id}`))['state']
      await submit()
      const { page, wrong } = await open('/policy?tab=studio&bundle=secops/new')
      await page.getByLabel('Id of the bundle').fill('secops/studio')
      await write(page, 'Policy', BUNDLE)
      const tests = page.getByRole('list', { name: 'Tests' })
      await expect.poll(() => tests.getByRole('img', { name: 'passes' }).count()).toBe(2)
      expect(await themedViolations(page)).toEqual([])
      await page.getByRole('button', { name: 'Save draft' }).click()
      await page.getByText('Not published').waitFor()
      await page.getByRole('tab', { name: 'What if' }).click()
      await page.getByRole('button', { name: 'Replay' }).click()
      await page.getByText(/decisions? replayed/).waitFor()
      await page.getByRole('region', { name: 'ALLOW becomes REQUIRE_APPROVAL' }).getByText('studio.paint').waitFor()
      expect(await themedViolations(page)).toEqual([])

      await page.getByRole('button', { name: 'Publish', exact: true }).click()
      await page.getByRole('button', { name: 'Publish it' }).click()
      await page.getByText('In force', { exact: true }).first().waitFor()
      const held = await submit()
      await until('the policy holds the job', async () => (await stateOf(held)) === 'APPROVAL_REQUIRED')

      await page.getByRole('tab', { name: 'History' }).click()
      await page
        .getByRole('listitem')
        .filter({ hasText: 'before the publish' })
        .getByRole('button', { name: 'Roll back' })
        .click()
      await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
      await page.getByText('Rolled back').first().waitFor()
      const free = await submit()
      await until('the job waits for a worker alone', async () =>
        ['PENDING', 'SCHEDULED'].includes(String(await stateOf(free))),
      )
      expect(await themedViolations(page)).toEqual([])
      expect(wrong).toEqual([])
      await page.close()
    })

    test('a dead letter says why it is one, and is submitted again', async () => {
      const { open, api } = world()
      const rule = (decision: string) =>
        api('PUT', '/api/v1/policy/bundles/secops~doors', {
          enabled: true,
          content: `rules:\n  - id: closed\n    match: { topics: ["job.closed.door"] }\n    decision: ${decision}\n    reason: closed today\n`,
        })
      await rule('deny')
      const { job_id: denied } = await api('POST', '/api/v1/jobs', { topic: 'job.closed.door', prompt: 'open' })
      await until(
        'it is denied',
        async () => (await api('GET', `/api/v1/jobs/${String(denied)}`))['state'] === 'DENIED',
      )
      await rule('allow')
      const { page, wrong } = await open('/jobs/dead')
      const row = page.getByRole('row').filter({ hasText: 'closed.door' })
      await row.getByText('closed today').waitFor()
      await row.getByRole('button', { name: 'Retry' }).click()
      await page.getByText('Submitted again').first().waitFor()
      await until('it is there again, and not denied', async () => {
        const { items } = await api('GET', '/api/v1/jobs?topic=job.closed.door')
        return (items as { id: string; state: string }[]).some(({ id, state }) => id !== denied && state !== 'DENIED')
      })
      expect(wrong).toEqual([])
      await page.close()
    })

    test('the palette finds a workflow and begins its run, and the parts of jobs', async () => {
      const { open } = world()
      const { page } = await open('/')
      await page.keyboard.press('Control+k')
      await page.getByRole('combobox').fill('run two doors')
      await page.getByRole('option', { name: /Run Two doors/ }).waitFor()
      await page.keyboard.press('Enter')
      await page.getByRole('dialog', { name: 'Run Two doors' }).waitFor()
      await page.keyboard.press('Escape')
      await page.keyboard.press('Control+k')
      await page.getByRole('combobox').fill('dlq')
      await page.getByRole('option', { name: 'Dead letters' }).waitFor()
      await page.keyboard.press('Enter')
      await page.waitForURL('**/jobs/dead')
      await page.close()
    })
  })
}
