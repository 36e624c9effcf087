-- Agents: our process on a host (or one that speaks the same protocol). One row for each; who of them is connected, apart from it.

create table agents (
  tenant_id uuid not null,
  id uuid not null,
  -- What the agent calls itself: the instance's id or a host name, at most 128 characters. Null until an agent enrolled by name connects.
  external_id text,
  name text not null,
  version text not null default '',
  -- Facts that the agent reports of its host.
  host jsonb not null default '{}',
  capabilities text[] not null default '{}',
  -- What the agent says of itself, and what somebody here has decided; the second wins (agents.labels_of).
  declared_labels jsonb not null default '{}',
  labels jsonb not null default '{}',
  config jsonb not null default '{}',
  max_tasks integer not null default 16,
  state text not null default 'active' check (state in ('active', 'inactive', 'revoked')),
  -- Durable, so that the loss of agent_presence loses no transition. late: 2 intervals without a heartbeat, lost: 3 (unification 4).
  liveness text not null default 'lost' check (liveness in ('online', 'late', 'lost')),
  -- Has a token of its own: then nobody takes its place with a shared key (decisions D9).
  enrolled boolean not null default false,
  row_version integer not null default 1,
  registered_at timestamptz not null,
  updated_at timestamptz not null,
  connected_at timestamptz,
  lost_at timestamptz,
  deleted_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, id) references principals (tenant_id, id)
);
create unique index agents_external on agents (tenant_id, external_id) where deleted_at is null;
create unique index agents_name on agents (tenant_id, name) where deleted_at is null;
create index agents_present on agents (tenant_id, id) where liveness <> 'lost';
select wh_protect('agents');

-- Rewritten at every heartbeat, so it is not logged; a crash of the database empties it, and the next heartbeats fill it again.
-- A lost agent has no row here.
create unlogged table agent_presence (
  tenant_id uuid not null,
  agent_id uuid not null,
  replica text not null,
  connection text not null,
  heartbeat_ms integer not null,
  last_heartbeat_at timestamptz not null,
  resources jsonb not null default '{}',
  running integer not null default 0,
  liveness text not null default 'online' check (liveness in ('online', 'late')),
  primary key (tenant_id, agent_id),
  foreign key (tenant_id, agent_id) references agents (tenant_id, id) on delete cascade
);
create index agent_presence_age on agent_presence (last_heartbeat_at);
select wh_protect('agent_presence', engine => true);

-- One-time tokens by which a host joins. The clear text is shown once.
create table agent_join_tokens (
  tenant_id uuid not null references tenants (id),
  id uuid not null,
  secret_hash bytea not null,
  name text,
  labels jsonb not null default '{}',
  created_by uuid not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  used_by uuid,
  primary key (tenant_id, id)
);
create unique index agent_join_tokens_secret on agent_join_tokens (secret_hash);
create index agent_join_tokens_expiry on agent_join_tokens (expires_at);
select wh_protect('agent_join_tokens');
select wh_auth_access('agent_join_tokens', 'select');
