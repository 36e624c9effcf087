-- Operations on jobs: queues that can be paused and limited, workers that can be drained, concurrency by key, dead letters in order,
-- acts on many jobs.

-- What a queue row is for: so that a topic can be halted and measured, and keys of a tenant take turns, without reading the records.
alter table job_queue
  add column topic text not null default '',
  add column principal_id uuid,
  -- While `blocked`: the concurrency key that it waits for.
  add column park_key text,
  drop constraint job_queue_state_check,
  -- paused: its topic is halted. blocked: as many jobs of its concurrency key run as may.
  add constraint job_queue_state_check
    check (state in ('ready', 'waiting', 'undecided', 'held', 'leased', 'cancelling', 'paused', 'blocked'));
update job_queue q set topic = j.topic, principal_id = j.principal_id from jobs j where j.tenant_id = q.tenant_id and j.id = q.id;
create index job_queue_paused on job_queue (tenant_id, topic, n) where state = 'paused';
create index job_queue_blocked on job_queue (tenant_id, park_key, n) where state = 'blocked';
comment on column job_queue.n is 'Order within a priority: virtual time, in which the keys of a tenant take turns (kernel/jobs/fair.ts)';

-- Microseconds of the end: the cursor of lists, as for jobs.
alter table dead_letters add column us bigint;
update dead_letters set us = (extract(epoch from created_at) * 1000000)::bigint;
alter table dead_letters alter column us set not null;
drop index dead_letters_age;
create index dead_letters_us on dead_letters (tenant_id, us desc);
create index dead_letters_reason on dead_letters (tenant_id, reason_code, us desc);

-- The sweep of jobs whose time is over.
create index jobs_ended on jobs (tenant_id, ended_at) where ended_at is not null;

-- Brakes that people set: paused topics and pools, limits of topics.
create table queue_settings (
  tenant_id uuid not null references tenants (id),
  kind text not null check (kind in ('topic', 'pool')),
  name text not null check (length(name) between 1 and 256),
  paused_at timestamptz,
  paused_by text not null default '',
  pause_reason text not null default '',
  max_depth bigint,
  max_age_ms bigint,
  primary key (tenant_id, kind, name)
);
select wh_protect('queue_settings', engine => true);

create table worker_drains (
  tenant_id uuid not null references tenants (id),
  worker_id text not null check (length(worker_id) between 1 and 128),
  at timestamptz not null,
  by text not null default '',
  reason text not null default '',
  primary key (tenant_id, worker_id)
);
select wh_protect('worker_drains', engine => true);

-- Who runs under a concurrency key. A row counts while the job is leased under its fence; others are left-overs.
create table job_slots (
  tenant_id uuid not null references tenants (id),
  key text not null check (length(key) between 1 and 256),
  job_id text not null,
  fence bigint not null,
  primary key (tenant_id, key, job_id)
);
select wh_protect('job_slots', engine => true);

create table bulk_operations (
  tenant_id uuid not null references tenants (id),
  id uuid not null,
  verb text not null check (verb in ('cancel', 'retry', 'replay', 'dead-letter-retry', 'dead-letter-delete')),
  state text not null default 'running' check (state in ('running', 'done', 'stopped')),
  filter jsonb not null,
  reason text not null default '',
  -- Of whoever started it, as it was then: what it does is done in their name.
  principal jsonb not null,
  -- What comes later than this is not meant.
  up_to timestamptz not null,
  -- Where it goes on.
  position jsonb,
  matched bigint not null,
  done bigint not null default 0,
  skipped bigint not null default 0,
  failed bigint not null default 0,
  last_error text,
  lease_until timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id)
);
create index bulk_operations_running on bulk_operations (created_at) where state = 'running';
create index bulk_operations_created on bulk_operations (tenant_id, created_at desc, id desc);
select wh_protect('bulk_operations', engine => true);
