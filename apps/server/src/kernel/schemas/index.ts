export { type CompiledSchema, compileOwn, compileSchema, describeProblems, type SchemaProblem } from './compile.ts'
export { deleteSchema, findSchema, listSchemas, putSchema } from './store.ts'
export { registeredSchemas, type SchemaReference, validateSchema } from './validate.ts'
