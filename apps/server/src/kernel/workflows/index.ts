export { type Workflows, openWorkflows } from './workflows.ts'
