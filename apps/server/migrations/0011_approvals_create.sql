-- One inbox (decisions D5): whatever waits for people's consent stands here, bound to the exact hash of what it is for.
create table approvals (
  tenant_id uuid not null references tenants (id),
  id uuid not null,
  kind text not null check (kind in ('job', 'promotion', 'step', 'admin')),
  ref_id text not null,
  hash text not null,
  snapshot text not null default '',
  -- Of the rule that asks: an approval survives a change of some other rule.
  rule_digest text not null default '',
  rule_id text not null default '',
  reason text not null default '',
  required integer not null default 1 check (required between 1 and 100),
  stage integer not null default 1,
  -- Roles that may decide; empty: everybody with the permission.
  roles text[] not null default '{}',
  allow_self boolean not null default false,
  requested_by uuid not null,
  -- The person behind it: a key of the same owner is not a second person.
  requested_for uuid not null,
  requested_name text not null,
  -- What the one who decides must see: the exact arguments, and what they reach.
  show jsonb not null default '{}',
  state text not null default 'open' check (state in ('open', 'approved', 'rejected', 'expired', 'withdrawn')),
  created_at timestamptz not null,
  expires_at timestamptz,
  decided_at timestamptz,
  primary key (tenant_id, id)
);
create unique index approvals_open on approvals (tenant_id, kind, ref_id) where state = 'open';
create index approvals_ref on approvals (tenant_id, kind, ref_id, created_at desc);
create index approvals_created on approvals (tenant_id, created_at desc, id desc);
create index approvals_expiry on approvals (expires_at) where state = 'open' and expires_at is not null;
select wh_protect('approvals', engine => true);

create table approval_votes (
  tenant_id uuid not null,
  approval_id uuid not null,
  stage integer not null,
  -- The person: all keys of one owner vote once.
  person_id uuid not null,
  principal_id uuid not null,
  principal_name text not null,
  role text not null default '',
  vote text not null check (vote in ('approve', 'reject')),
  reason text not null default '',
  note text not null default '',
  at timestamptz not null,
  primary key (tenant_id, approval_id, stage, person_id),
  foreign key (tenant_id, approval_id) references approvals (tenant_id, id) on delete cascade
);
select wh_protect('approval_votes', engine => true);
