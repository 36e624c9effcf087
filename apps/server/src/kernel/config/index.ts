export { ConfigError, explainConfig, loadConfig, type Explained, type Source, type Surroundings } from './load.ts'
export { configReference, printConfig } from './print.ts'
export type { Config } from './schema.ts'
export { LOCAL_AGENT_VARIABLES } from './settings.ts'
