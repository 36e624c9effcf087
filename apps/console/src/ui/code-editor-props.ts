export interface CodeProblem {
  /** From 1. Without a line the problem is the whole text's. */
  line?: number
  column?: number
  message: string
  severity: 'error' | 'warning'
}

export interface CodeEditorProps {
  /** What is edited, for who does not see it. */
  label: string
  language: 'yaml' | 'json'
  value: string
  onChange?: (value: string) => void
  readOnly?: boolean
  problems?: readonly CodeProblem[]
}
