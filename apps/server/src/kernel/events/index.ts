export { publish, type NewEvent } from './publish.ts'
