-- Configuration of a tenant, by scope (jobs.md 11, 22). `system` ids other than `default` are registries: packs, catalogues, trust.
create table config_documents (
  tenant_id uuid not null references tenants (id),
  scope text not null check (scope in ('system', 'org', 'team', 'workflow', 'step')),
  scope_id text not null check (scope_id <> '' and length(scope_id) <= 256),
  -- As text: the order of members is the author's, and jsonb would sort them.
  data text not null,
  meta jsonb not null default '{}',
  revision bigint not null,
  updated_at timestamptz not null,
  primary key (tenant_id, scope, scope_id)
);
select wh_protect('config_documents');

-- Raised by every write, so that replicas see with one small statement whose configuration changed. Its row is the writers' lock.
create table config_heads (
  tenant_id uuid not null references tenants (id),
  revision bigint not null,
  changed_at timestamptz not null,
  primary key (tenant_id)
);
select wh_protect('config_heads');
create policy engine on config_heads for select to wh_engine using (true);
grant select on config_heads to wh_engine;

-- Topics, pools and timeouts stand in the document system/default now; nothing ever wrote them here.
drop table pool_config;
