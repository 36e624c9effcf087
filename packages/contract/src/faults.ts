import { fleetFaults } from './faults/fleet.ts'
import { jobsFaults } from './faults/jobs.ts'
import { kernelFaults } from './faults/kernel.ts'
import { nativeFaults } from './faults/native.ts'
import { platformFaults } from './faults/platform.ts'
import { releaseFaults } from './faults/release.ts'

/** Every condition a caller can meet: a code is never reused and never renamed. */
export const faults = {
  ...kernelFaults,
  ...platformFaults,
  ...fleetFaults,
  ...releaseFaults,
  ...jobsFaults,
  ...nativeFaults,
} as const satisfies Record<string, { status: number; title: string }>

export type FaultCode = keyof typeof faults

/** One violation of a body, query or path: where, and what would be right (release.md §2). */
export interface Violation {
  field: string
  message: string
  code:
    | 'required'
    | 'type'
    | 'format'
    | 'min'
    | 'max'
    | 'minLength'
    | 'maxLength'
    | 'pattern'
    | 'enum'
    | 'unknown'
    | 'duplicate'
    | 'reference'
}

export interface FaultOptions {
  /** Replaces the catalogue's title; says what to do. */
  message?: string
  cause?: unknown
  retryAfterMs?: number
  violations?: readonly Violation[]
  /** Members that a surface's document puts beside the error (fleet `details`, jobs `code`). */
  extra?: Readonly<Record<string, unknown>>
}

/** An expected refusal. Anything thrown that is not a Fault is a defect: logged with its stack, answered 500. */
export class Fault extends Error {
  readonly code: FaultCode
  readonly status: number
  readonly details: Readonly<Record<string, unknown>> | undefined
  readonly retryAfterMs: number | undefined
  readonly violations: readonly Violation[] | undefined
  readonly extra: Readonly<Record<string, unknown>> | undefined

  constructor(code: FaultCode, details?: Readonly<Record<string, unknown>>, options: FaultOptions = {}) {
    super(options.message ?? faults[code].title, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'Fault'
    this.code = code
    this.status = faults[code].status
    this.details = details
    this.retryAfterMs = options.retryAfterMs
    this.violations = options.violations
    this.extra = options.extra
  }
}
