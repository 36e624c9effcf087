import { calledName, can, type Identity, type Principal } from '../identity/index.ts'

/** Why a step may not act, in words that say what to do about it. */
export interface Refusal {
  code: 'PERM_DENIED' | 'principal_frozen'
  message: string
}

/** Whoever started a run, with what is left of their rights. */
export interface Starter {
  principal: Principal
  refusal?: Refusal
}

/**
 * Rights may be taken away while a run waits: it acts with those of its start that are held today, and not at all for who is frozen
 * (docs/workflows.md, Rights).
 */
export async function starterToday(identity: Pick<Identity, 'today'>, stored: Principal): Promise<Starter> {
  const { principal, frozen } = await identity.today(stored)
  const name = calledName(principal)
  if (!can(principal, 'workflow:execute')) {
    const message = `${name} started this run and may no longer run workflows (workflow:execute): give the right back, or have somebody who holds it rerun from this step`
    return { principal, refusal: { code: 'PERM_DENIED', message } }
  }
  if (!frozen) return { principal }
  const message = `${name} started this run and is frozen: release them, or have somebody else rerun from this step`
  return { principal, refusal: { code: 'principal_frozen', message } }
}
