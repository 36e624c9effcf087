-- Governed jobs (decisions D4, D5). `jobs` is the record, one row a job; `job_queue` is hot, one small row a job that has not ended.
-- While a job lives its state is told by its queue row alone, so that a claim writes one narrow row.

-- Who submitted, as it was then: the same for thousands of jobs, so kept once by content hash.
create table job_principals (
  tenant_id uuid not null references tenants (id),
  hash bytea not null,
  principal jsonb not null,
  primary key (tenant_id, hash)
);
select wh_protect('job_principals', engine => true);

-- What a decision saw of the world, by content hash.
create table facts (
  tenant_id uuid not null references tenants (id),
  hash bytea not null,
  body jsonb not null,
  primary key (tenant_id, hash)
);
select wh_protect('facts', engine => true, reader => true);

create table jobs (
  tenant_id uuid not null,
  id text not null check (length(id) between 1 and 128),
  trace_id text not null,
  topic text not null,
  verb text,
  -- `open` until it ends: then the queue row tells.
  state text not null default 'open' check (state in ('open', 'succeeded', 'failed', 'cancelled', 'timed_out', 'denied')),
  -- Microseconds of the last change that lists show; unique within a process, so that it serves as a cursor (jobs.md 1.6).
  updated_us bigint not null,
  created_at timestamptz not null,
  request jsonb not null,
  -- JSON texts behind redis://ctx:<id> and redis://res:<id>.
  context text,
  result text,
  result_ptr text,
  principal_id uuid not null,
  principal_hash bytea not null,
  decision_id uuid not null,
  approval_id uuid,
  parent_id text,
  executor_kind text not null default 'worker' check (executor_kind in ('server', 'agent', 'worker')),
  executor_id text,
  attempts integer not null default 0,
  worker_id text,
  started_at timestamptz,
  ended_at timestamptz,
  deadline timestamptz,
  error_code text,
  error_message text,
  primary key (tenant_id, id)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
create index jobs_updated on jobs (tenant_id, updated_us desc);
create index jobs_trace on jobs (tenant_id, trace_id);
create index jobs_parent on jobs (tenant_id, parent_id) where parent_id is not null;
-- Successes are nearly all; the others are what is searched for.
create index jobs_troubled on jobs (tenant_id, state, updated_us desc) where state in ('failed', 'cancelled', 'timed_out', 'denied');
select wh_protect('jobs', engine => true, reader => true);

create table job_queue (
  tenant_id uuid not null,
  id text not null,
  -- Where it may run: `wh` for verbs, else the pools that its topic, requirements and preference allow, joined by `|`.
  pool text not null,
  priority smallint not null,
  -- Order within a priority.
  n bigint not null,
  -- ready: to be claimed. waiting: ready at run_at. undecided: policy is asked again at run_at. held: waits for approval.
  -- leased: somebody works on it. cancelling: ended, its worker is yet to be told.
  state text not null check (state in ('ready', 'waiting', 'undecided', 'held', 'leased', 'cancelling')),
  run_at timestamptz,
  fence bigint not null default 0,
  attempt integer not null default 1,
  max_attempts integer not null default 1,
  -- How often a lease ran out: the attempt is the same, the claim a new one.
  recoveries integer not null default 0,
  timeout_ms bigint not null,
  deadline timestamptz,
  lease_owner bigint,
  lease_until timestamptz,
  -- When the running attempt is over time.
  expires_at timestamptz,
  started_at timestamptz,
  worker_id text,
  account text,
  -- Limits that policy set; null = none.
  constraints jsonb,
  primary key (tenant_id, id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index job_queue_claim on job_queue (pool, tenant_id, priority desc, n) where state = 'ready';
create index job_queue_later on job_queue (run_at) where state in ('waiting', 'undecided');
create index job_queue_leases on job_queue (lease_until) where state = 'leased';
create index job_queue_told on job_queue (run_at) where state = 'cancelling';
create index job_queue_deadline on job_queue (deadline) where deadline is not null;
select wh_protect('job_queue', engine => true);

-- Attempts that did not end the job; the last one stands in the job itself.
create table job_attempts (
  tenant_id uuid not null,
  job_id text not null,
  fence bigint not null,
  attempt integer not null,
  worker_id text,
  started_at timestamptz,
  ended_at timestamptz not null,
  outcome text not null check (outcome in ('failed', 'timed_out', 'lost')),
  error_code text not null default '',
  error_message text not null default '',
  primary key (tenant_id, job_id, fence),
  foreign key (tenant_id, job_id) references jobs (tenant_id, id) on delete cascade
);
select wh_protect('job_attempts', engine => true);

-- Every answer that policy gave about a job, newest last.
create table decisions (
  tenant_id uuid not null,
  job_id text not null,
  id uuid not null,
  at timestamptz not null,
  decision text not null check (decision in ('ALLOW', 'DENY', 'REQUIRE_APPROVAL', 'THROTTLE', 'ALLOW_WITH_CONSTRAINTS')),
  reason text not null default '',
  rule_id text not null default '',
  snapshot text not null default '',
  -- The rest of the decision; null when there is nothing more to it.
  body jsonb,
  facts_hash bytea,
  job_hash text,
  primary key (tenant_id, job_id, id)
);
select wh_protect('decisions', engine => true, reader => true);

-- What a job wrote to its two streams, in chunks; bounded by the writer.
create table job_output (
  tenant_id uuid not null,
  job_id text not null,
  seq integer not null,
  stream text not null check (stream in ('stdout', 'stderr')),
  at timestamptz not null,
  chunk text not null,
  primary key (tenant_id, job_id, seq)
);
select wh_protect('job_output', engine => true);

-- Values behind redis://res:<job> and redis://mem:<id> that a worker stored itself.
create table job_values (
  tenant_id uuid not null references tenants (id),
  key text not null check (length(key) between 5 and 200),
  body bytea not null,
  expires_at timestamptz not null,
  primary key (tenant_id, key)
);
create index job_values_expiry on job_values (expires_at);
select wh_protect('job_values', engine => true);

-- Idempotency keys of submissions: 7 days (jobs.md 17.6).
create table job_keys (
  tenant_id uuid not null,
  key text not null,
  job_id text not null,
  trace_id text not null,
  -- Of the request: the same key with another request is refused.
  digest bytea not null,
  expires_at timestamptz not null,
  primary key (tenant_id, key)
);
create index job_keys_expiry on job_keys (expires_at);
select wh_protect('job_keys', engine => true);

create table dead_letters (
  tenant_id uuid not null,
  job_id text not null,
  topic text not null,
  status text not null,
  reason text not null default '',
  reason_code text not null default '',
  last_state text not null default '',
  attempts integer not null default 0,
  created_at timestamptz not null,
  primary key (tenant_id, job_id)
);
create index dead_letters_age on dead_letters (tenant_id, created_at desc, job_id);
select wh_protect('dead_letters', engine => true);

-- Anyone's CAP process. Rewritten by heartbeats, so not logged; after a crash of the database the next heartbeats fill it again.
create unlogged table workers (
  tenant_id uuid not null,
  worker_id text not null,
  account text not null,
  pool text not null default '',
  heartbeat jsonb not null,
  last_heartbeat_at timestamptz not null,
  primary key (tenant_id, worker_id)
);
select wh_protect('workers', engine => true);

-- A tenant's topics, pools and timeouts, where they differ from the built-in ones (jobs.md 17.3, 17.5).
create table pool_config (
  tenant_id uuid not null references tenants (id),
  pools jsonb,
  timeouts jsonb,
  updated_at timestamptz not null,
  primary key (tenant_id)
);
select wh_protect('pool_config', engine => true);
