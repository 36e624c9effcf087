import { can, type Identity, type Principal } from '../identity/index.ts'

/** Whoever started a run, with what is left of their rights. */
export interface Starter {
  principal: Principal
  /** Why none of the run's steps may act any more, and what to do about it. */
  refusal?: string
}

/** Rights may be taken away while a run waits: it acts with those of its start that are held today (docs/workflows.md, Rights). */
export async function starterToday(identity: Pick<Identity, 'today'>, stored: Principal): Promise<Starter> {
  const principal = await identity.today(stored)
  if (can(principal, 'workflow:execute')) return { principal }
  const name = principal.name === '' ? principal.subject : principal.name
  return {
    principal,
    refusal: `${name} started this run and may no longer run workflows (workflow:execute): give the right back, or have somebody who holds it rerun from this step`,
  }
}
