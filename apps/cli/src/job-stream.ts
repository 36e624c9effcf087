import type { EndEvent, GapEvent, OutputEvent, ProgressEvent, StateEvent } from '@wheelhouse/contract/native/job-output'
import type { Client } from '@wheelhouse/sdk'

/** What happens to a job while somebody looks. */
export type JobEvent =
  | ({ event: 'stdout' | 'stderr' } & OutputEvent)
  | ({ event: 'state' } & StateEvent)
  | ({ event: 'progress' } & ProgressEvent)
  | ({ event: 'gap' } & GapEvent)
  | ({ event: 'end' } & EndEvent)

/** A job from its beginning to its end, across broken connections and restarts of the server. The last event is `end`, unless the signal aborts. */
export async function* followJob(client: Client, jobId: string, signal?: AbortSignal): AsyncGenerator<JobEvent, void> {
  const stream = client.events(`/wheelhouse/api/v1/jobs/${encodeURIComponent(jobId)}/output`, {
    surface: 'native',
    ...(signal ? { signal } : {}),
  })
  for await (const { event, data } of stream) {
    yield { event, ...(JSON.parse(data) as object) } as JobEvent
    if (event === 'end') return
  }
}
