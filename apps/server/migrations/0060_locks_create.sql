-- Locks of tenants' workers and of the platform itself (jobs.md 15, 25 with its fixes): per tenant, with a fencing token.

-- Grows whenever a free lock is taken; a later holder always has the larger number.
create sequence lock_tokens;
grant usage on sequence lock_tokens to wh_tenant, wh_engine;

create table locks (
  tenant_id uuid not null references tenants (id),
  resource text not null check (length(resource) between 1 and 512),
  mode text not null check (mode in ('exclusive', 'shared')),
  -- Owner → how often it took it.
  owners jsonb not null,
  token bigint not null,
  updated_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, resource)
);
create index locks_expiry on locks (expires_at);
select wh_protect('locks', engine => true);
