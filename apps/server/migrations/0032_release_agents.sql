-- What the release surface knows of agents beyond the kernel's rows (release.md §6.4).

-- Its registration tokens are the kernel's join tokens, with what they allow.
alter table agent_join_tokens add column capabilities text[];
alter table agent_join_tokens add column environment_ids uuid[];

-- What an agent says of itself, beside what its heartbeats show; and when it was last heard, which outlives its presence.
alter table agents add column reported_status text not null default 'online' check (reported_status in ('online', 'degraded'));
alter table agents add column last_heartbeat_at timestamptz;

-- The last sixty heartbeats of an agent: each has its place, so that nothing grows. Not logged: it fills again.
create unlogged table agent_heartbeats (
  tenant_id uuid not null,
  agent_id uuid not null,
  slot smallint not null,
  at timestamptz not null,
  cpu_percent double precision,
  memory_percent double precision,
  primary key (tenant_id, agent_id, slot),
  foreign key (tenant_id, agent_id) references agents (tenant_id, id) on delete cascade
);
select wh_protect('agent_heartbeats');

-- Each tenant's own authority of agents' certificates. Its key is sealed by the vault.
create table agent_authorities (
  tenant_id uuid not null references tenants (id),
  certificate text not null,
  sealed_key text not null,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  primary key (tenant_id)
);
select wh_protect('agent_authorities');

-- Client certificates that were given out; append only.
create table agent_certificates (
  tenant_id uuid not null,
  serial text not null,
  agent_id uuid not null,
  fingerprint text not null,
  -- Subject public key info, so that a certificate is renewed for the same key.
  public_key bytea not null,
  not_before timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  primary key (tenant_id, serial),
  foreign key (tenant_id, agent_id) references agents (tenant_id, id)
);
create index agent_certificates_agent on agent_certificates (tenant_id, agent_id, expires_at desc);
create index agent_certificates_fingerprint on agent_certificates (fingerprint);
select wh_protect('agent_certificates');
