-- JSON Schemas that a tenant has registered (jobs.md 23): one namespace, no versions, no expiry.
create table json_schemas (
  tenant_id uuid not null references tenants (id),
  id text not null check (id <> '' and length(id) <= 256),
  -- As text: the order of members is the author's, and jsonb would sort them.
  schema text not null,
  sha256 text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id)
);
create index json_schemas_newest on json_schemas (tenant_id, updated_at desc, id);
select wh_protect('json_schemas');
