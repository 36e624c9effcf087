export { type Metrics, openMetrics, type Seen } from './metrics.ts'
export { countRequests } from './requests.ts'
