import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const scrape = (headers: Record<string, string> = {}, as: string | null = null) =>
  world.call('GET', '/metrics', { as, headers })

test('is one document: the process, requests by declared route, and the reference’s families', async () => {
  await world.call('GET', '/api/v1/artifacts/art:nothing-here')
  await world.call('GET', '/api/v1/instances')
  const { status, headers, body } = await scrape()
  expect(status).toBe(200)
  expect(headers.get('content-type')).toContain('text/plain; version=0.0.4')
  expect(body).toMatch(/^wheelhouse_process_cpu_seconds_total \d/m)
  expect(body).toMatch(/^wheelhouse_bus_connected 1$/m)
  const route = 'method="GET",route="/api/v1/artifacts/{ptr}"'
  expect(body).toContain(`cordum_api_gateway_http_requests_total{${route},status="404"} 1`)
  expect(body).toContain(`cordum_api_gateway_http_request_duration_seconds_count{${route}} 1`)
  expect(body).toMatch(
    /wheelhouse_http_requests_total\{surface="fleet",method="GET",route="\/api\/v1\/instances",status="200"\} 1/,
  )
  expect(body).not.toContain('nothing-here')
})

test('counts jobs by topic as they come and end', async () => {
  await world.publish(
    'secops/metrics',
    'rules: [{ id: no, match: { topics: [job.metrics.no] }, decision: deny, reason: no }]',
  )
  const principal = await world.principal(world.a.keys.admin)
  await world.kernel.jobs.submitBatched(principal, {
    request: { topic: 'job.metrics.no', tenant: principal.tenantSlug, principalId: principal.subject },
    context: null,
  })
  await expect
    .poll(async () => (await scrape()).body, { timeout: 10_000 })
    .toContain('cordum_scheduler_safety_denied_total{topic="job.metrics.no"} 1')
  const { body } = await scrape()
  expect(body).toContain('cordum_scheduler_jobs_received_total{topic="job.metrics.no"} 1')
  expect(body).toContain('cordum_scheduler_jobs_completed_total{topic="job.metrics.no",status="DENIED"} 1')
})

test('tells callers from elsewhere nothing without the installation’s right', async () => {
  const elsewhere = { 'X-Forwarded-For': '203.0.113.9' }
  expect((await scrape(elsewhere)).status).toBe(401)
  expect((await scrape(elsewhere, world.a.keys.admin)).status).toBe(403)
  expect((await scrape(elsewhere, world.a.keys['platform-admin'])).status).toBe(200)
})
