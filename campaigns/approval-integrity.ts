import { sql } from '../apps/server/src/kernel/db/index.ts'
import { until } from '../tests/server-process.ts'
import { type Asked, PLACES, Stage, VERB_TOPIC } from './approval-stage.ts'
import { makePeople } from './approval-people.ts'
import { AFTER, GATES, type Way, WAYS, WORKER_ALONE } from './approval-ways.ts'
import { Random } from './random.ts'
import { sideBySide, withWorld } from './world.ts'

export interface IntegrityOptions {
  attempts: number
  seed: number
  say?(line: string): void
}

export interface IntegrityReport {
  seed: number
  attempts: number
  seconds: number
  /** How often each way was tried. */
  tried: Record<string, number>
  /** Jobs that were performed; each stands in `approved` terms below, or is a violation. */
  performed: number
  refused: number
  violations: string[]
}

/** What may come of a job. `either`: whoever won a race decides, but what is done is what was asked and at most once. */
type Fate = 'runs' | 'never' | 'either'

export interface Case {
  way: string
  jobId: string
  digest: string
  fate: Fate
}

const WAVE = 250
const AT_ONCE = 24

/**
 * Tries to get work done that nobody approved exactly like this, and compares what a worker and a verb really had in their hands with what
 * was approved. The figure: executions that were not exactly approved.
 */
export function integrityCampaign({
  attempts,
  seed,
  say = () => undefined,
}: IntegrityOptions): Promise<IntegrityReport> {
  return withWorld({}, async (world) => {
    const began = Date.now()
    const random = new Random(seed)
    const people = await makePeople(world)
    const stage = await Stage.open(world, people)
    const { kernel, a, b } = world
    const { alice, bob, carol, security, viewer } = people
    const cases: Case[] = []
    const tried: Record<string, number> = {}
    const violations: string[] = []
    let refused = 0
    const heart = setInterval(() => stage.beat(), 2_000)

    const expect = (way: string, what: string, status: number, ...wanted: number[]): void => {
      if (status >= 400 && status < 500) refused += 1
      if (!wanted.includes(status))
        violations.push(`${way}: ${what} was answered ${status}, not ${wanted.join(' or ')}`)
    }
    const tenant = <T>(run: Parameters<typeof kernel.db.tenant<T>>[1]) => kernel.db.tenant(a.id, run)
    const key = (person: { keys: readonly [string, string] }): string => random.of(person.keys)

    function asked(way: Way, number: number, wave: number): Asked {
      const after = AFTER[way]
      const gate = GATES[way]
      const late = way.includes('between approval and dispatch')
      // Where the way is about what only a worker's job has, or about when a worker takes it.
      const mayBeVerb = !late && !WORKER_ALONE.has(way)
      return {
        topic: late
          ? `job.integrity.late.${wave}`
          : mayBeVerb && random.next() < 0.25
            ? VERB_TOPIC
            : 'job.integrity.now',
        labels: {
          ...(after === undefined ? {} : { after, wave: `w${wave}` }),
          ...(gate === undefined ? {} : { gate }),
          target: `t${number}`,
        },
        capability: `cap-${number % 7}`,
        team: `team-${number % 5}`,
        prompt: `attempt ${number}`,
        arguments: { n: number, target: `host-${random.whole(1, 1000)}` },
      }
    }

    /** The whole attempt, or, for the ways that wait for the wave's policy, its part before: the rest is returned. */
    async function attempt(way: Way, number: number, wave: number): Promise<(() => Promise<void>) | undefined> {
      const wish = asked(way, number, wave)
      const through =
        way === 'for whom somebody else asked' ? { as: key(bob), headers: { 'x-on-behalf-of': 'alice' } } : undefined
      const { jobId, digest, status } = await stage.ask(wish, `key-${number}`, through)
      expect(way, 'the submission', status, 200)
      if (status !== 200) return undefined
      const made: Case = { way, jobId, digest, fate: 'never' }
      cases.push(made)
      tried[way] = (tried[way] ?? 0) + 1
      const vote = (who: string | null, what: 'approve' | 'reject' = 'approve') => stage.vote(who, jobId, what)
      const approve = async (who: string | null, what: string, ...wanted: number[]): Promise<void> =>
        expect(way, what, await vote(who), ...wanted)
      switch (way) {
        case 'approved by another':
          made.fate = 'runs'
          await approve(key(bob), 'the approval', 200)
          return undefined
        case 'approved by the asker where the rule allows it':
          made.fate = 'runs'
          await approve(key(alice), 'the approval', 200)
          return undefined
        case 'approved by the role that the rule names':
          made.fate = 'runs'
          await approve(key(security), 'the approval', 200)
          return undefined
        case 'approved by two of two':
          made.fate = 'runs'
          await approve(key(bob), 'the first approval', 200)
          await approve(key(carol), 'the second approval', 200)
          return undefined
        case 'asker':
          await approve(alice.keys[0], 'the asker', 403)
          await approve(alice.keys[1], 'another key of the asker', 403)
          return undefined
        case 'asker through somebody else':
          // Bob's service agrees because Alice, who asked, tells it to.
          expect(way, 'a service', await stage.vote(key(bob), jobId, 'approve', { 'x-on-behalf-of': 'alice' }), 403)
          return undefined
        case 'for whom somebody else asked':
          made.fate = 'runs'
          await approve(key(alice), 'the one for whom it was asked', 403)
          await approve(key(bob), 'the one through whom it was asked', 403)
          await approve(key(carol), 'somebody else', 200)
          return undefined
        case 'other tenant':
          await approve(random.of([b.keys.admin, b.keys['platform-admin'], b.keys.approver]), 'a stranger', 404)
          return undefined
        case 'no right to decide':
          await approve(random.of([key(viewer), a.keys.user, a.keys.developer, a.keys.worker]), 'a viewer', 403)
          return undefined
        case 'ended credential':
          await approve(random.of(people.ended), 'a credential that has ended', 401)
          return undefined
        case 'role that the rule does not name':
          await approve(key(bob), 'somebody without the role', 403)
          return undefined
        case 'one person as two':
          await Promise.all(bob.keys.map((each) => approve(each, 'the same person', 200)))
          return undefined
        case 'expired':
          await kernel.db.engine((tx) =>
            tx.run(sql`update approvals set expires_at = now() - interval '1 second' where ref_id = ${jobId}`),
          )
          await approve(key(bob), 'an approval after its time', 409)
          return undefined
        case 'approval replayed': {
          made.fate = 'runs'
          const repeat = { 'idempotency-key': `replay-${number}` }
          const who = key(bob)
          expect(way, 'the approval', await stage.vote(who, jobId, 'approve', repeat), 200)
          expect(way, 'the approval again', await stage.vote(who, jobId, 'approve', repeat), 409, 200)
          await approve(key(carol), 'another approval', 409)
          return undefined
        }
        case 'approved after a rejection':
          expect(way, 'the rejection', await vote(key(carol), 'reject'), 200)
          await approve(key(bob), 'an approval after it', 409)
          return undefined
        case 'approved after a cancellation':
          expect(way, 'the cancellation', await stage.cancel(jobId), 200)
          await approve(key(bob), 'an approval after it', 409)
          return undefined
        case 'changed before the approval':
          await kernel.db.engine((tx) =>
            tx.run(sql`update jobs set ${stage.tampering(random.of(PLACES))} where id = ${jobId}`),
          )
          await approve(key(bob), 'an approval of what was not asked', 409)
          return undefined
        case 'changed after the approval': {
          const change = stage.tampering(random.of(PLACES))
          await tenant(async (tx) => {
            await kernel.jobs.holds.approve(tx, bob.principal, jobId, {})
            await tx.run(sql`update jobs set ${change} where id = ${jobId}`)
          })
          return undefined
        }
        case 'other arguments under the same key': {
          made.fate = 'runs'
          const other = await stage.ask({ ...wish, arguments: { n: -1, target: 'elsewhere' } }, `key-${number}`)
          expect(way, 'the other arguments', other.status, 409)
          await approve(key(bob), 'the approval', 200)
          return undefined
        }
        case 'context pointer overwritten': {
          made.fate = 'runs'
          const { status: written } = await world.call('PUT', `/api/v1/memory?ptr=redis://ctx:${jobId}`, {
            as: random.of([a.keys.worker, alice.keys[0]]),
            body: { prompt: wish.prompt, context: { n: -1, target: 'elsewhere' } },
          })
          expect(way, 'the other context', written, 400, 403, 404, 409)
          await approve(key(bob), 'the approval', 200)
          return undefined
        }
        case 'race of two approvers': {
          made.fate = 'runs'
          const answers = await Promise.all([vote(key(bob)), vote(key(carol))])
          if (!answers.includes(200)) violations.push(`${way}: nobody was heard (${answers.join(', ')})`)
          for (const each of answers) expect(way, 'an approval', each, 200, 409)
          return undefined
        }
        case 'race of approval and rejection': {
          const [yes, no] = await Promise.all([vote(key(bob)), vote(key(carol), 'reject')])
          expect(way, 'the approval', yes, 200, 409)
          expect(way, 'the rejection', no, 200, 409)
          if ((yes === 200) === (no === 200)) violations.push(`${way}: both or neither were heard (${yes}, ${no})`)
          made.fate = yes === 200 ? 'runs' : 'never'
          return undefined
        }
        case 'race of approval and cancellation': {
          const [yes, no] = await Promise.all([vote(key(bob)), stage.cancel(jobId)])
          expect(way, 'the approval', yes, 200, 409)
          expect(way, 'the cancellation', no, 200)
          made.fate = yes === 200 ? 'either' : 'never'
          return undefined
        }
        case 'policy now denies':
        case 'policy now wants two':
          return () => approve(key(bob), 'the approval', 200)
        case 'policy now names a role':
          return () => approve(key(bob), 'the approval', 403)
        case 'policy now allows':
          made.fate = 'runs'
          return () => approve(key(bob), 'the approval', 200)
        case 'policy changes in the very moment':
          made.fate = 'either'
          return async () => {
            const yes = await vote(key(bob))
            expect(way, 'the approval', yes, 200, 409)
            if (yes !== 200) made.fate = 'never'
          }
        case 'policy denies between approval and dispatch':
        case 'policy asks for more between approval and dispatch':
          await approve(key(bob), 'the approval', 200)
          return undefined
        case 'policy stays between approval and dispatch':
          made.fate = 'runs'
          await approve(key(bob), 'the approval', 200)
          return undefined
      }
    }

    async function wave(number: number, first: number, count: number): Promise<void> {
      const ways = Array.from({ length: count }, () => random.of(WAYS))
      const racing: (() => Promise<void>)[] = []
      const after: (() => Promise<void>)[] = []
      await sideBySide(count, AT_ONCE, async (index) => {
        const way = ways[index]
        const rest = way && (await attempt(way, first + index, number))
        if (rest) (way === 'policy changes in the very moment' ? racing : after).push(rest)
      })
      const match = (mind: string) => `match: {labels: {wave: w${number}, after: ${mind}}}`
      const publication = stage.publish([
        `{id: deny-${number}, ${match('deny')}, decision: deny, reason: not any more}`,
        `{id: role-${number}, ${match('role')}, decision: require_approval, approval: {roles: [security]}}`,
        `{id: two-${number}, ${match('two')}, decision: require_approval, approval: {required: 2}}`,
        `{id: allow-${number}, ${match('allow')}, decision: allow}`,
      ])
      await Promise.all([publication, ...racing.map((rest) => rest())])
      await sideBySide(after.length, AT_ONCE, async (index) => after[index]?.())
      stage.beat([`job.integrity.late.${number}`])
    }

    try {
      for (let number = 0; number * WAVE < attempts; number++) {
        const first = number * WAVE
        await wave(number, first, Math.min(WAVE, attempts - first))
        say(
          `${Math.min(first + WAVE, attempts)} attempts, ${stage.performed.size} performed, ${violations.length} violations`,
        )
      }
      // Whatever could still run has its chance; what is held stays held.
      const under = sql<{ n: number }>`select count(*)::int as n from job_queue where state <> 'held'`
      await until(
        'all that may run has run',
        async () => (await kernel.db.engine((tx) => tx.one(under))).n === 0,
        60_000,
      ).catch((error: unknown) => violations.push(String(error)))
      violations.push(...judge(cases, stage.performed), ...(await unbound(stage)))
      return {
        seed,
        attempts: cases.length,
        seconds: Math.round((Date.now() - began) / 1000),
        tried,
        performed: [...stage.performed.values()].reduce((sum, each) => sum + each.length, 0),
        refused,
        violations,
      }
    } finally {
      clearInterval(heart)
      await stage.close()
    }
  })
}

/** Holds what was done against what was approved: the same job, the same digest, once, and only where its fate allows it. */
export function judge(cases: readonly Case[], performed: ReadonlyMap<string, readonly string[]>): string[] {
  const wrong: string[] = []
  const known = new Map(cases.map((each) => [each.jobId, each]))
  for (const [jobId, digests] of performed) {
    const made = known.get(jobId)
    if (!made) wrong.push(`job ${jobId} was performed and nobody asked for it`)
    else if (made.fate === 'never') wrong.push(`${made.way}: job ${jobId} was performed`)
    else if (digests.length > 1) wrong.push(`${made.way}: job ${jobId} was performed ${digests.length} times`)
    else if (digests[0] !== made.digest) wrong.push(`${made.way}: job ${jobId} was performed with other arguments`)
  }
  for (const { way, jobId, fate } of cases)
    if (fate === 'runs' && !performed.has(jobId)) wrong.push(`${way}: job ${jobId} was approved and not performed`)
  return wrong
}

/** Performed jobs without an approval that was granted for their very hash by enough persons other than the asker; the record's own word. */
async function unbound({ world, performed }: Stage): Promise<string[]> {
  const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many<{ id: string }>(sql`
      select j.id from jobs j
       where j.id = any(${[...performed.keys()]})
         and coalesce(j.request #>> '{labels,after}', '') <> 'allow'
         and not exists (
           select from approvals a
            where a.id = j.approval_id and a.ref_id = j.id and a.state = 'approved'
              and exists (select from decisions d where d.job_id = j.id and d.job_hash = a.hash)
              and (select count(distinct v.person_id) from approval_votes v
                    where v.approval_id = a.id and v.stage = a.stage and v.vote = 'approve'
                      and (a.allow_self or v.person_id <> a.requested_for)) >= a.required)`),
  )
  return rows.map(({ id }) => `job ${id} was performed without an approval that is bound to it`)
}

/** The report as Markdown, for docs/reliability.md. */
export function integrityReport({
  seed,
  attempts,
  seconds,
  tried,
  performed,
  refused,
  violations,
}: IntegrityReport): string {
  return [
    `Seed ${seed}: ${attempts} attempts in ${seconds} s; ${performed} executions, ${refused} refusals.`,
    '',
    '| Way | Attempts |',
    '|---|---|',
    ...WAYS.map((way) => `| ${way} | ${tried[way] ?? 0} |`),
    '',
    `- executions that were not exactly approved, and other violations: ${violations.length}`,
    ...violations.slice(0, 50).map((each) => `  - ${each.slice(0, 400)}`),
  ].join('\n')
}
