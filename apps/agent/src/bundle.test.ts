import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { AgentProcess, TestServer } from './agent-harness.ts'

const folder = fileURLToPath(new URL('..', import.meta.url))
const rolldown = fileURLToPath(new URL('../node_modules/rolldown/bin/cli.mjs', import.meta.url))
// Inside the workspace, so that the one native dependency is found from there as from the real bundle.
const bundle = `${folder}dist/agent-test-${process.pid}.mjs`

afterAll(() => rmSync(bundle, { force: true }))

test('the bundle is one file that runs without the sources', async () => {
  const args = ['src/main.ts', '-f', 'esm', '-p', 'node', '-o', bundle, '--external', '@lydell/node-pty']
  const built = spawnSync(process.execPath, [rolldown, ...args], { cwd: folder, encoding: 'utf8' })
  expect(built.status, built.stderr).toBe(0)
  const server = await new TestServer().start()
  const agent = new AgentProcess(server, {}, bundle).start()
  try {
    const { payload } = await server.next('hello')
    expect(payload.capabilities).toContain('terminal')
    server.exec({ task_id: 't', command: 'echo bundled', shell: true })
    await server.result('t')
    expect(server.output('t', 'stdout')).toBe('bundled\n')
  } finally {
    await agent.remove()
    await server.stop()
  }
})
