-- What agents remember (jobs.md 28): the last events of a memory, and the chunks of text that were put into it. Summaries and
-- whatever else stands under `mem:` are values of job_values.
create table memory_events (
  tenant_id uuid not null references tenants (id),
  memory_id text not null check (length(memory_id) between 1 and 200),
  -- Position in the memory, from 0; what falls out of the memory does not give its position back.
  seq bigint not null,
  body jsonb not null,
  expires_at timestamptz not null,
  primary key (tenant_id, memory_id, seq)
);
create index memory_events_expiry on memory_events (expires_at);
select wh_protect('memory_events', engine => true);

create table memory_chunks (
  tenant_id uuid not null references tenants (id),
  memory_id text not null check (length(memory_id) between 1 and 200),
  name text not null check (length(name) between 1 and 200),
  body jsonb not null,
  expires_at timestamptz not null,
  primary key (tenant_id, memory_id, name)
);
create index memory_chunks_expiry on memory_chunks (expires_at);
select wh_protect('memory_chunks', engine => true);
