import { type Document, LineCounter, parseDocument } from 'yaml'
import type { CodeProblem } from './code-editor-props.ts'

/** Reads YAML as it was typed: what is wrong with its form, and where in the text an offset stands. */
export function readYaml(text: string): {
  document: Document
  problems: CodeProblem[]
  place(offset: number): { line: number; column: number }
} {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const problems = document.errors.map((error): CodeProblem => ({
    ...place(error.pos[0]),
    message: error.message.split('\n')[0] ?? '',
    severity: 'error',
  }))
  return { document, problems, place }
}
