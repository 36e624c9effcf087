export { openSchedule, type Schedule, type Task } from './schedule.ts'
export { retentionTasks } from './retention.ts'
