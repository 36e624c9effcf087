import { contract } from '@wheelhouse/contract'
import { age, moment } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { harmless } from '../io.ts'
import { row } from '../row.ts'
import { startRun } from './start-run.ts'

const { workflows } = contract.jobs
const { workflows: native } = contract.native

export const workflowIds: NonNullable<Command['complete']> = async ({ client }) => {
  const found = await client.jobs.workflows.listWorkflows({ query: {} })
  return found.map(({ id, name }) => [id, name] as const)
}

const list = row('jobs', workflows.listWorkflows, {
  name: 'list',
  aliases: ['ls'],
  hide: ['org_id'],
  about: { limit: 'how many at most' },
  items: (found) => found,
  columns: {
    ID: ({ id }) => id,
    NAME: ({ name }) => name,
    STEPS: ({ steps }) => Object.keys(steps).length,
    VERSION: ({ version, revision }) => `${version || '–'} r${revision}`,
    BY: ({ created_by: by }) => by,
    SAVED: ({ updated_at: at }) => age(at),
  },
  id: ({ id }) => id,
})

const get = row('jobs', workflows.getWorkflow, {
  name: 'get',
  aliases: ['show'],
  complete: workflowIds,
  columns: {
    ID: ({ id }) => id,
    Name: ({ name }) => name,
    About: ({ description }) => description,
    Version: ({ version }) => version,
    Revision: ({ revision }) => revision,
    'At most': ({ timeout_sec: timeout }) => (timeout > 0 ? `${timeout} s` : ''),
    Steps: ({ steps }) =>
      Object.entries(steps)
        .map(([id, step]) => {
          const {
            type = 'job',
            topic,
            depends_on: after = [],
          } = step as { type?: string; topic?: string; depends_on?: string[] }
          return `${id} (${type}${topic ? ` ${topic}` : ''})${after.length > 0 ? ` after ${after.join(', ')}` : ''}`
        })
        .join('\n'),
    Saved: ({ updated_at: at, created_by: by }) => `${moment(at)}${by ? ` by ${by}` : ''}`,
  },
  id: ({ id }) => id,
  examples: ['wheelhouse workflow get deploy -o yaml > deploy.yaml'],
})

const save = row('jobs', workflows.saveWorkflow, {
  name: 'save',
  aliases: ['apply'],
  summary: 'Make a workflow or replace it; every problem of the definition is told at once',
  hide: ['org_id', 'team_id', 'name', 'description', 'version', 'timeout_sec', 'created_by', 'steps'],
  about: { id: 'its id (the one in the file)' },
  prepare: ({ body }) => {
    if (body['steps'] === undefined)
      throw new CliError(EXIT.usage, 'The definition is missing.', 'Give it with -f FILE, or - for stdin.')
  },
  said: ({ id }) => `Saved ${id}. Run it: wheelhouse workflow run ${id}`,
  id: ({ id }) => id,
  examples: ['wheelhouse workflow save -f deploy.yaml'],
})

const validate = row('native', native.validateWorkflow, {
  name: 'validate',
  summary: 'What is wrong with a definition; saves nothing, exits 1 when something is',
  hide: ['id', 'org_id', 'team_id', 'name', 'description', 'version', 'timeout_sec', 'created_by', 'steps'],
  items: ({ problems }) => problems,
  columns: { WHERE: ({ path }) => path, PROBLEM: ({ message }) => message, CODE: ({ code }) => code },
  said: ({ problems, plan }) =>
    problems.length > 0
      ? `${problems.length} to mend.`
      : `It can run: ${(plan?.layers ?? []).map((layer) => layer.join(' + ')).join(' → ')}`,
  code: ({ problems }) => (problems.length > 0 ? EXIT.failed : EXIT.ok),
  examples: ['wheelhouse workflow validate -f deploy.yaml'],
})

const remove = row('jobs', workflows.deleteWorkflow, {
  name: 'delete',
  aliases: ['rm'],
  complete: workflowIds,
  confirm: ({ args }) => `Delete workflow ${args.one('id')}? Its runs stay and go on.`,
  said: () => 'Deleted.',
})

const versions = row('native', native.listWorkflowVersions, {
  name: 'versions',
  complete: workflowIds,
  columns: {
    REVISION: ({ revision }) => revision,
    VERSION: ({ version }) => version,
    BY: ({ savedBy }) => savedBy,
    SAVED: ({ savedAt }) => moment(savedAt),
    DIGEST: ({ digest }) => harmless(digest).slice(0, 12),
  },
  id: ({ revision }) => String(revision),
})

export const workflowGroup: Group = {
  name: 'workflow',
  aliases: ['workflows', 'wf'],
  summary: 'Steps that follow one another: jobs, approvals, waits, choices',
  commands: [list, get, save, validate, startRun(workflowIds), versions, remove],
}
