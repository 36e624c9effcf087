import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parsePolicy } from './language.ts'
import { DEFAULT_POLICY, DEFAULT_POLICY_ID, compilePolicy, evaluate } from './index.ts'

const snapshot = compilePolicy([{ id: DEFAULT_POLICY_ID, content: DEFAULT_POLICY, enabled: true }])
const run = (command: unknown, instance: unknown = { labels: { env: 'dev' } }) =>
  evaluate(snapshot, { topic: 'job.wh.fleet.command.execute', jobId: 'j', facts: { command, instance } })

describe('the policy that a tenant starts with', () => {
  test('has no warnings', () => {
    expect(snapshot?.warnings).toEqual([])
  })

  test.each([
    'rm -rf /',
    'rm -fr /',
    'rm -r -f /*',
    'rm -rf --no-preserve-root /',
    'rm / -rf',
    'rm --recursive --force /etc/',
    'cd /tmp && sudo rm -rf / --no-preserve-root',
    'sudo sh -c "/bin/r\\m -rf \'/\'"',
    'rm -rf ~',
    'rm -rf $HOME/*',
    'echo a\nrm -rf /usr',
    ['rm', '-rf', '/'],
    'find / -delete',
    'chmod -R 777 /',
    'mkfs.ext4 /dev/sdb1',
    'sudo /sbin/mkfs -t xfs /dev/vda',
    'wipefs -a /dev/sda',
    'dd if=/dev/zero of=/dev/sda bs=1M',
    'sudo dd of=/dev/nvme0n1 if=image.raw',
    'cat image > /dev/sda',
    ':(){ :|:& };:',
    'bomb() { bomb | bomb & }; bomb',
    'shutdown -h now',
    'sudo reboot',
    'init 0',
    'systemctl --force poweroff',
    'if true; then halt; fi',
  ])('denies %j with a reason', (command) => {
    const decision = run(command)
    expect(decision.decision).toBe('DENY')
    expect(decision.reason).toMatch(/^the command would /)
  })

  test.each([
    'ls -la /',
    'rm -rf /tmp/build',
    'rm -rf ./node_modules',
    'rm /etc/motd',
    'rm -rf /var/cache/apt/archives',
    "find /var -name '*.tmp' -delete",
    'chmod -R 755 /srv/app',
    'dd if=/dev/sda of=/tmp/mbr bs=512 count=1',
    'echo x > /dev/null',
    'grep shutdown /var/log/syslog',
    'echo "mkfs is a command"',
    'systemctl restart nginx',
    'last reboot',
    'f() { ls | wc -l; }; f',
    '',
  ])('allows %j', (command) => {
    expect(run(command)).toMatchObject({ decision: 'ALLOW', ruleId: '' })
  })

  test('production machines ask for a second person', () => {
    for (const env of ['production', 'Prod']) {
      expect(run('uptime', { labels: { env } })).toMatchObject({
        decision: 'REQUIRE_APPROVAL',
        ruleId: 'production-exec',
        approvalRef: 'j',
        approval: { required: 1, allowSelf: false },
      })
    }
    expect(run('uptime', [{ labels: { env: 'dev' } }, { labels: { env: 'production' } }]).decision).toBe(
      'REQUIRE_APPROVAL',
    )
    expect(run('rm -rf /', { labels: { env: 'production' } }).decision).toBe('DENY')
  })

  test('other work on production machines, and other people’s jobs, are allowed', () => {
    const facts = { instance: { labels: { env: 'production' } } }
    expect(evaluate(snapshot, { topic: 'job.wh.fleet.instance.suspend', facts }).decision).toBe('ALLOW')
    expect(evaluate(snapshot, { topic: 'job.default' }).decision).toBe('ALLOW')
  })

  test('an administrator’s bundle overrules it', () => {
    const free = 'rules: [{id: free, match: {topics: [job.wh.fleet.command.*]}, decision: allow}]'
    const both = compilePolicy([
      { id: DEFAULT_POLICY_ID, content: DEFAULT_POLICY, enabled: true },
      { id: 'secops/free', content: free, enabled: true },
    ])
    expect(evaluate(both, { topic: 'job.wh.fleet.command.execute', facts: { command: 'reboot' } }).ruleId).toBe('free')
  })
})

test('the bundle that docs/policy.md teaches with is read without a complaint', () => {
  const guide = readFileSync(new URL('../../../../../docs/policy.md', import.meta.url), 'utf8')
  const [, content = ''] = /```yaml\n([\s\S]*?)```/.exec(guide) ?? []
  const policy = parsePolicy(content)
  expect(policy.warnings).toEqual([])
  expect(policy.rules.map(({ id }) => id)).toEqual([
    'production-deploys-ask',
    'wide-reach-needs-two',
    'scripts-are-bounded',
  ])
})
