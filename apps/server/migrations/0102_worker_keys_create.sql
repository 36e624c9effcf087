-- Public keys by which packets of a tenant's workers are verified (jobs.md 29.5). A tenant without any does not verify.
create table worker_keys (
  tenant_id uuid not null references tenants (id),
  worker_id text not null check (length(worker_id) between 1 and 128),
  public_key text not null,
  created_at timestamptz not null,
  primary key (tenant_id, worker_id)
);
select wh_protect('worker_keys', engine => true);
