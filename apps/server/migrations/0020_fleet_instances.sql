-- Fleet's machines and what happened to them (fleet.md §3.2).

create table instances (
  tenant_id uuid not null references tenants (id),
  -- Chosen by clients (host names) or by us; never reused.
  id text not null check (length(id) between 1 and 128),
  -- Not unique: one live holder at a time, held by an advisory lock at registration; history keeps the name.
  name text not null,
  provider text not null,
  region text,
  distro text,
  extensions text[] not null default '{}',
  config_hash text,
  ssh_endpoint text,
  docker_host text,
  status text not null default 'UNKNOWN'
    check (status in ('RUNNING', 'STOPPED', 'DEPLOYING', 'DESTROYING', 'DESTROYED', 'SUSPENDED', 'ERROR', 'UNKNOWN')),
  team_id text,
  agent_id uuid,
  hostname text,
  agent_version text,
  os text,
  arch text,
  tags jsonb not null default '{}',
  geo_lat double precision,
  geo_lon double precision,
  geo_label text,
  geo_source text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, team_id) references groups (tenant_id, name) on delete set null (team_id)
);
create index instances_newest on instances (tenant_id, created_at desc, id desc);
create index instances_name on instances (tenant_id, name, created_at desc);
create index instances_status on instances (tenant_id, status, created_at desc, id desc);
create index instances_provider on instances (tenant_id, provider, created_at desc, id desc);
create index instances_region on instances (tenant_id, region, created_at desc, id desc);
create index instances_distro on instances (tenant_id, distro, created_at desc, id desc);
create index instances_team on instances (tenant_id, team_id, id) where team_id is not null;
create index instances_agent on instances (tenant_id, agent_id) where agent_id is not null;
select wh_protect('instances');

create table instance_events (
  tenant_id uuid not null,
  id uuid not null,
  instance_id text not null,
  type text not null,
  at timestamptz not null,
  metadata jsonb,
  primary key (tenant_id, id),
  foreign key (tenant_id, instance_id) references instances (tenant_id, id) on delete cascade
);
create index instance_events_newest on instance_events (tenant_id, instance_id, at desc, id desc);
create index instance_events_age on instance_events (at);
select wh_protect('instance_events');
-- The sweep drops what is older than the retention.
create policy sweep on instance_events for all to wh_engine using (true) with check (true);
grant select, delete on instance_events to wh_engine;

create table command_executions (
  tenant_id uuid not null,
  id uuid not null,
  instance_id text not null,
  user_id text not null,
  command text not null,
  args text[] not null default '{}',
  -- Values whose names speak of secrets are masked before they come here.
  env jsonb not null default '{}',
  working_dir text,
  timeout_ms integer not null,
  status text not null check (status in ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'TIMEOUT')),
  exit_code integer,
  stdout text,
  stderr text,
  truncated boolean not null default false,
  duration_ms integer,
  correlation_id uuid not null,
  script text,
  job_id text,
  approval_required boolean not null default false,
  error text,
  created_at timestamptz not null,
  completed_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, instance_id) references instances (tenant_id, id) on delete cascade
);
create unique index command_executions_correlation on command_executions (tenant_id, correlation_id);
create index command_executions_newest on command_executions (tenant_id, created_at desc, id desc);
create index command_executions_instance on command_executions (tenant_id, instance_id, created_at desc, id desc);
create index command_executions_status on command_executions (tenant_id, status, created_at desc, id desc);
create index command_executions_job on command_executions (tenant_id, job_id) where job_id is not null;
select wh_protect('command_executions');

create table terminal_sessions (
  tenant_id uuid not null,
  id uuid not null,
  instance_id text not null,
  -- The person or key that opened it: nobody else may attach.
  user_id text not null,
  owner_id text not null,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'CLOSED', 'DISCONNECTED')),
  started_at timestamptz not null,
  ended_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, instance_id) references instances (tenant_id, id) on delete cascade
);
create index terminal_sessions_active on terminal_sessions (tenant_id, instance_id) where status = 'ACTIVE';
select wh_protect('terminal_sessions');
