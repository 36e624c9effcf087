-- Policy of a tenant: its files, what was loaded of them, and the copies that a rollback goes back to (jobs.md 10, 20).

create table policy_documents (
  tenant_id uuid not null references tenants (id),
  id text not null check (id <> '' and length(id) <= 200),
  content text not null,
  enabled boolean not null default false,
  author text not null default '',
  message text not null default '',
  version text not null default '',
  sha256 text not null,
  installed_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id)
);
select wh_protect('policy_documents');
-- A tenant is made together with its first policy, before there is a transaction of its own.
select wh_auth_access('policy_documents', 'select, insert');

-- Raised by every write to the documents of a tenant, so that replicas see with one small statement whose policy changed.
create table policy_heads (
  tenant_id uuid not null references tenants (id),
  revision bigint not null,
  changed_at timestamptz not null,
  primary key (tenant_id)
);
select wh_protect('policy_heads');
select wh_auth_access('policy_heads', 'select, insert, update');
create policy engine on policy_heads for select to wh_engine using (true);
grant select on policy_heads to wh_engine;

-- What was in force, and since when: decisions name the id. `sources` is what the newest good policy is rebuilt from.
create table policy_snapshots (
  tenant_id uuid not null references tenants (id),
  id text not null,
  revision bigint not null,
  sources jsonb not null,
  loaded_at timestamptz not null,
  primary key (tenant_id, id)
);
create index policy_snapshots_newest on policy_snapshots (tenant_id, revision desc, loaded_at desc);
select wh_protect('policy_snapshots');

-- Copies of the whole set of documents, made before and after a publication and on demand.
create table policy_captures (
  tenant_id uuid not null references tenants (id),
  id text not null,
  note text not null default '',
  bundles jsonb not null,
  created_at timestamptz not null,
  primary key (tenant_id, id)
);
create index policy_captures_newest on policy_captures (tenant_id, created_at desc, id desc);
select wh_protect('policy_captures');
