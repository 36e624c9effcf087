import { useMemo, useState } from 'react'
import { CodeEditor } from '../../ui/code-editor.tsx'
import { cx } from '../../ui/cx.ts'
import { Field, Segmented, Select, Switch, TextInput } from '../../ui/form.tsx'
import { flatFields, readInput, withField, type InputField } from './run-input.ts'

/** What a schema asks for: a form where it is flat, else JSON; the text is the value either way, so that nothing typed is lost between them. */
export function InputForm(props: {
  label: string
  schema: unknown
  text: string
  onChange: (text: string) => void
  problem?: string | undefined
  className?: string | undefined
}) {
  const { text, onChange, problem } = props
  const fields = useMemo(() => flatFields(props.schema), [props.schema])
  const [wanted, setWanted] = useState<'form' | 'json'>('form')
  const { value } = useMemo(() => readInput(text), [text])
  const mode = fields && value ? wanted : 'json'
  return (
    <div className="flex min-w-0 flex-col gap-2">
      <div className="flex min-h-7 items-center gap-2">
        <p className="text-s2 font-medium text-ink">{props.label}</p>
        {fields && (
          <span className="ml-auto">
            <Segmented
              label={`Way to give the ${props.label.toLowerCase()}`}
              value={mode}
              onChange={setWanted}
              options={[
                { value: 'form', label: 'Form' },
                { value: 'json', label: 'JSON' },
              ]}
            />
          </span>
        )}
      </div>
      {mode === 'form' && fields && value ? (
        <div className={cx('grid content-start gap-3', fields.length > 3 && 'wide:grid-cols-2')}>
          {fields.map((field) => (
            <InputLine
              key={field.name}
              field={field}
              value={value[field.name]}
              onChange={(next) => onChange(withField(text, field.name, next))}
            />
          ))}
        </div>
      ) : (
        <CodeEditor
          label={props.label}
          language="json"
          value={text}
          onChange={onChange}
          problems={problem ? [{ message: problem, severity: 'error' }] : []}
          className={props.className ?? 'h-60'}
        />
      )}
    </div>
  )
}

function InputLine(props: { field: InputField; value: unknown; onChange: (value: unknown) => void }) {
  const { field, value, onChange } = props
  const missing = field.required && (value === undefined || value === '')
  return (
    <Field
      label={field.label}
      optional={!field.required}
      help={field.help ?? (missing ? 'It is asked for.' : undefined)}
    >
      {(shape) =>
        field.kind === 'choice' ? (
          <Select
            label={field.label}
            shape={shape}
            value={value === undefined ? '' : String(value)}
            onChange={(next) => onChange(field.choices.find((choice) => String(choice) === next))}
            options={field.choices.map((choice) => ({ value: String(choice), label: String(choice) }))}
          />
        ) : field.kind === 'switch' ? (
          <span className="flex h-(--control-h) items-center gap-2">
            <Switch id={shape.id} label={field.label} checked={value === true} onChange={onChange} />
            <span aria-hidden className="text-s2 text-ink-2">
              {value === true ? 'Yes' : 'No'}
            </span>
          </span>
        ) : field.kind === 'number' ? (
          <TextInput
            {...shape}
            type="number"
            step="any"
            value={typeof value === 'number' ? value : ''}
            onChange={(event) => onChange(event.target.value === '' ? undefined : Number(event.target.value))}
          />
        ) : (
          <TextInput
            {...shape}
            value={typeof value === 'string' ? value : ''}
            onChange={(event) =>
              onChange(event.target.value === '' && !field.required ? undefined : event.target.value)
            }
          />
        )
      }
    </Field>
  )
}
