export { type CompiledSchema, compileSchema, describeProblems, type SchemaProblem } from './compile.ts'
export { deleteSchema, findSchema, listSchemas, putSchema } from './store.ts'
export { type SchemaReference, validateSchema } from './validate.ts'
