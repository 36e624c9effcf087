export { contextText, currentTrace, newTrace, readTraceparent, spanIdOf, traceIdOf, within } from './context.ts'
export { type AttemptSpan, type JobSpan, jobSpanId, jobTracer, type JobTracer, runSpanId } from './jobs.ts'
export { openTracer, type Tracer } from './tracer.ts'
export { traceRequests } from './requests.ts'
