import { type Endpoint, faults, type Surface } from '@wheelhouse/contract'

/** How each surface says no (fleet.md §1.3, release.md §2, jobs.md §1.5, platform.md §1.2, RFC 9457). */
const ERROR_SHAPES: Readonly<Record<Surface, (body: Record<string, unknown>, status: number) => boolean>> = {
  platform: (body) => typeof body['error'] === 'string',
  fleet: (body, status) =>
    typeof body['error'] === 'string' && typeof body['message'] === 'string' && body['statusCode'] === status,
  release: (body) =>
    body['success'] === false &&
    typeof (body['error'] as { code?: unknown } | undefined)?.code === 'string' &&
    typeof (body['meta'] as { requestId?: unknown } | undefined)?.requestId === 'string',
  jobs: (body) => typeof body['error'] === 'string',
  native: (body, status) => body['status'] === status && typeof body['code'] === 'string',
}

/** Whether a refusal has its surface's form. */
export const hasErrorShape = (surface: Surface, { status, body }: { status: number; body: unknown }): boolean =>
  typeof body === 'object' && body !== null && ERROR_SHAPES[surface](body as Record<string, unknown>, status)

/** Probes say with a 503 of their own form that this replica is not ready. */
export const isProbe = ({ path, permission }: Endpoint): boolean =>
  permission === 'public' && /\/(ready|health)z?$/.test(path)

/** A status of the server's own failure that the endpoint documents (`faults`) is an answer; any other is a defect. */
export const isDefect = (endpoint: Endpoint, status: number): boolean =>
  status >= 500 &&
  !(status === 503 && isProbe(endpoint)) &&
  !(endpoint.faults ?? []).some((code) => faults[code].status === status)
