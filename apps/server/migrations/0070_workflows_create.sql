-- Workflows, their versions and runs (decisions D4). Both definition dialects compile to one plan, which stands with the version.
-- A run's rows are written by whoever holds the lock of its `runs` row. What it has yet to take in stands in `run_inbox`, written by the
-- transaction in which it happened, so that nothing is lost between the end of a job and the step that waits for it.

create table workflows (
  tenant_id uuid not null references tenants (id),
  id text not null check (length(id) between 1 and 128),
  dialect text not null default 'jobs' check (dialect in ('jobs', 'release')),
  revision integer not null,
  name text not null default '',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  updated_us bigint not null,
  primary key (tenant_id, id)
);
create index workflows_updated on workflows (tenant_id, updated_us desc);
select wh_protect('workflows');

-- Every saved form, also of workflows that were removed: runs and comparisons need it.
create table workflow_versions (
  tenant_id uuid not null references tenants (id),
  workflow_id text not null,
  revision integer not null,
  dialect text not null default 'jobs' check (dialect in ('jobs', 'release')),
  -- As the author gave it, and what the engine runs.
  definition jsonb not null,
  plan jsonb not null,
  digest text not null,
  saved_by text not null,
  saved_at timestamptz not null,
  primary key (tenant_id, workflow_id, revision)
);
select wh_protect('workflow_versions');

create table runs (
  tenant_id uuid not null references tenants (id),
  id text not null check (length(id) between 1 and 128),
  workflow_id text not null,
  revision integer not null,
  dialect text not null default 'jobs' check (dialect in ('jobs', 'release')),
  status text not null check (status in ('pending', 'running', 'waiting', 'paused', 'cancelling', 'succeeded', 'failed', 'timed_out', 'cancelled')),
  -- Counts the writes: whoever kept the state in memory knows by it whether that is still the state.
  write_no bigint not null default 1,
  next_seq integer not null default 1,
  input jsonb not null,
  context jsonb not null default '{}',
  output jsonb,
  error jsonb,
  dry_run boolean not null default false,
  -- Who started it, as they were then: its jobs are theirs.
  principal jsonb not null,
  principal_id uuid not null,
  triggered_by text not null,
  team_id text not null default '',
  labels jsonb not null default '{}',
  metadata jsonb not null default '{}',
  idempotency_key text,
  rerun_of text,
  rerun_step text,
  parent_run_id text,
  parent_step text,
  depth integer not null default 0,
  created_at timestamptz not null,
  started_at timestamptz,
  completed_at timestamptz,
  updated_us bigint not null,
  primary key (tenant_id, id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
create index runs_updated on runs (tenant_id, updated_us desc, id desc);
create index runs_of_workflow on runs (tenant_id, workflow_id, updated_us desc, id desc);
create index runs_status on runs (tenant_id, status, updated_us desc, id desc);
create index runs_parent on runs (tenant_id, parent_run_id) where parent_run_id is not null;
create index runs_completed on runs (completed_at) where completed_at is not null;
select wh_protect('runs', engine => true);

-- One row a step and a child (`fan[3]`). A step with children holds their counts, so that no event reads them all.
create table run_steps (
  tenant_id uuid not null,
  run_id text not null,
  key text not null,
  node_id text not null,
  child_index integer,
  status text not null check (status in ('pending', 'running', 'waiting', 'retrying', 'succeeded', 'failed', 'timed_out', 'cancelled', 'skipped')),
  attempts integer not null default 0,
  item jsonb,
  input jsonb,
  output jsonb,
  result_ptr text,
  error jsonb,
  job_id text,
  child_run_id text,
  approval_id uuid,
  skip_reason text,
  handled boolean not null default false,
  edges jsonb,
  children jsonb,
  started_at timestamptz,
  completed_at timestamptz,
  next_attempt_at timestamptz,
  primary key (tenant_id, run_id, key),
  foreign key (tenant_id, run_id) references runs (tenant_id, id) on delete cascade
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
create index run_steps_children on run_steps (tenant_id, run_id, node_id, child_index) where child_index is not null;
select wh_protect('run_steps', engine => true);

-- The timeline.
create table run_events (
  tenant_id uuid not null,
  run_id text not null,
  seq integer not null,
  at timestamptz not null,
  type text not null,
  step_key text,
  job_id text,
  status text,
  result_ptr text,
  message text,
  data jsonb,
  primary key (tenant_id, run_id, seq),
  foreign key (tenant_id, run_id) references runs (tenant_id, id) on delete cascade
);
select wh_protect('run_events', engine => true);

-- What a run has yet to take in. No foreign key: whoever writes here must not wait for the run's lock.
create table run_inbox (
  tenant_id uuid not null,
  run_id text not null,
  n bigint generated always as identity,
  kind text not null,
  step_key text not null default '',
  job_id text,
  body jsonb,
  primary key (tenant_id, run_id, n)
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
select wh_protect('run_inbox', engine => true);
grant usage on sequence run_inbox_n_seq to wh_tenant, wh_engine;

-- Delays, retries and limits in time; step '' is the run itself.
create table run_timers (
  tenant_id uuid not null,
  run_id text not null,
  step_key text not null,
  purpose text not null check (purpose in ('delay', 'retry', 'timeout')),
  attempt integer not null default 0,
  fires_at timestamptz not null,
  primary key (tenant_id, run_id, step_key, purpose)
);
create index run_timers_due on run_timers (fires_at);
select wh_protect('run_timers', engine => true);

-- Jobs that a run no longer needs; they are cancelled after the commit that said so.
create table run_cancels (
  tenant_id uuid not null,
  job_id text not null,
  run_id text not null,
  reason text not null,
  primary key (tenant_id, job_id)
);
select wh_protect('run_cancels', engine => true);

-- Idempotency keys of starts (jobs.md 8, fix): per workflow, 7 days.
create table run_keys (
  tenant_id uuid not null references tenants (id),
  workflow_id text not null,
  key text not null,
  run_id text not null,
  expires_at timestamptz not null,
  primary key (tenant_id, workflow_id, key)
);
create index run_keys_expiry on run_keys (expires_at);
select wh_protect('run_keys', engine => true);

-- The step that a job is done for; its end is told to the run's inbox.
alter table jobs add column run_id text, add column step_key text;
create index jobs_run on jobs (tenant_id, run_id) where run_id is not null;
