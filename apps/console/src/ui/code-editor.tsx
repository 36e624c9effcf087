import { lazy, Suspense } from 'react'
import { cx } from './cx.ts'
import type { CodeEditorProps } from './code-editor-props.ts'

const CodeEditorCanvas = lazy(() =>
  import('./code-editor-canvas.tsx').then((module) => ({ default: module.CodeEditorCanvas })),
)

export type { CodeProblem } from './code-editor-props.ts'

/** An editor for YAML and JSON that shows what is wrong at its place. Escape, then Tab, leaves it by the keyboard. */
export function CodeEditor(props: CodeEditorProps & { className?: string }) {
  const { className, ...editor } = props
  return (
    <div className={cx('relative min-h-0 overflow-hidden rounded-r2 border border-line-1 bg-well', className)}>
      <Suspense fallback={<pre className="mono overflow-auto p-3 text-s2 text-ink-2">{props.value}</pre>}>
        <CodeEditorCanvas {...editor} />
      </Suspense>
    </div>
  )
}
