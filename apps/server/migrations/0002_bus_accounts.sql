-- NATS accounts (decisions D2): one for each tenant (owner_id null) and one for each user. The seed is sealed by the vault.
create table nats_accounts (
  tenant_id uuid not null references tenants (id),
  public_key text not null,
  owner_id uuid,
  sealed_seed text not null,
  -- {"U...": {"at": seconds, "until"?: seconds}}: credentials issued at or before `at` are refused; forgotten after `until`.
  revocations jsonb not null default '{}',
  version bigint not null default 1,
  changed_at timestamptz not null,
  primary key (tenant_id, public_key),
  foreign key (tenant_id, owner_id) references principals (tenant_id, id)
);
create unique index nats_accounts_key on nats_accounts (public_key);
create unique index nats_accounts_owner on nats_accounts (tenant_id, owner_id) nulls not distinct;
select wh_protect('nats_accounts');
-- A message names only its account: the tenant is found before it is known.
select wh_auth_access('nats_accounts', 'select');
