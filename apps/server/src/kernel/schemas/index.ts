export {
  type CompiledSchema,
  compiledOr,
  compileOwn,
  compileSchema,
  describeProblems,
  type SchemaProblem,
} from './compile.ts'
export { deleteSchema, findSchema, listSchemas, putSchema } from './store.ts'
export { registeredSchemas } from './validate.ts'
