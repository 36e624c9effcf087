-- Blobs lie in files named by their content; a row is what points at one (jobs.md 27).
create table artifacts (
  tenant_id uuid not null references tenants (id),
  id uuid not null,
  sha256 text not null check (length(sha256) = 64),
  size_bytes bigint not null,
  content_type text not null default '',
  retention text not null check (retention in ('short', 'standard', 'audit')),
  labels jsonb not null default '{}',
  created_by uuid,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, id)
);
create index artifacts_expiry on artifacts (expires_at);
create index artifacts_content on artifacts (tenant_id, sha256);
select wh_protect('artifacts', engine => true);
