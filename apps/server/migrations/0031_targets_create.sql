-- Places that releases are deployed to (release.md §6.3).

create table targets (
  tenant_id uuid not null,
  id uuid not null,
  environment_id uuid not null,
  target_group_id uuid,
  name text not null,
  display_name text,
  type text not null,
  -- Without its secrets, which stand masked; those are sealed by the vault, bound to this row.
  connection jsonb not null,
  sealed_secrets text,
  capabilities text[] not null default '{}',
  labels jsonb not null default '{}',
  agent_id uuid,
  health_check jsonb,
  health_status text not null default 'unknown' check (health_status in ('healthy', 'degraded', 'unhealthy', 'unknown')),
  last_health_check timestamptz,
  last_health_message text,
  maintenance boolean not null default false,
  last_sync_at timestamptz,
  created_by uuid not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version integer not null default 1,
  deleted_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id),
  foreign key (tenant_id, agent_id) references agents (tenant_id, id)
);
create unique index targets_name on targets (tenant_id, environment_id, name) where deleted_at is null;
create index targets_order on targets (tenant_id, name, id) where deleted_at is null;
create index targets_agent on targets (tenant_id, agent_id) where deleted_at is null and agent_id is not null;
select wh_protect('targets');
