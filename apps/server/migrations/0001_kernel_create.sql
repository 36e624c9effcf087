-- The kernel's own tables: tenants, identity, audit and events, idempotency.
-- Conventions (decisions D4, D6): tenant_id leads every key; row-level security is enabled AND forced; four request roles.

do $$
declare r text;
begin
  foreach r in array array['wh_tenant', 'wh_engine', 'wh_auth', 'wh_reader'] loop
    if not exists (select from pg_roles where rolname = r) then
      begin
        execute format('create role %I nologin nosuperuser nobypassrls', r);
      exception when duplicate_object or unique_violation then null;  -- another database of this cluster made it meanwhile
      end;
    end if;
    -- From PostgreSQL 16 on, who makes a role may administer it, but takes it on only when that was granted.
    if current_setting('server_version_num')::int >= 160000 then
      if not pg_has_role(current_user, r, 'set') then
        execute format('grant %I to current_user with set true', r);
      end if;
    elsif not pg_has_role(current_user, r, 'member') then
      execute format('grant %I to current_user', r);
    end if;
  end loop;
end $$;

grant usage on schema public to wh_tenant, wh_engine, wh_auth, wh_reader;

-- The tenant of the running transaction; null outside one, which matches no row.
create function wh_current_tenant() returns uuid language sql stable parallel safe
as $$ select nullif(current_setting('app.tenant', true), '')::uuid $$;

-- Makes a table a tenant table. Every table with a tenant_id column must pass through here; a test walks the catalogue.
-- engine / reader: also visible, over all tenants, to the batching engine and to db.big().
create function wh_protect(target regclass, engine boolean default false, reader boolean default false, writes boolean default true)
returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy tenant on %s to wh_tenant using (tenant_id = (select wh_current_tenant())) with check (tenant_id = (select wh_current_tenant()))', target);
  execute format('grant select on %s to wh_tenant', target);
  if writes then
    execute format('grant insert, update, delete on %s to wh_tenant', target);
  end if;
  if engine then
    execute format('create policy engine on %s to wh_engine using (true) with check (true)', target);
    execute format('grant select, insert, update, delete on %s to wh_engine', target);
  end if;
  if reader then
    execute format('create policy reader on %s for select to wh_reader using (true)', target);
    execute format('grant select on %s to wh_reader', target);
  end if;
end $$;

-- Lets the login path (no tenant known yet) at a table of identity; the privileges are named by the caller.
create function wh_auth_access(target regclass, privileges text) returns void language plpgsql as $$
begin
  execute format('create policy auth on %s to wh_auth using (true) with check (true)', target);
  execute format('grant %s on %s to wh_auth', privileges, target);
end $$;

-- A day partition of a time-series table, protected like its parent. Grants stand on the parent alone.
create function wh_partition(parent regclass, day date) returns void language plpgsql as $$
declare part text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
begin
  if to_regclass(part) is not null then return; end if;
  execute format('create table %I partition of %s for values from (%L) to (%L)', part, parent, day::timestamptz, (day + 1)::timestamptz);
  execute format('alter table %I enable row level security', part);
  execute format('alter table %I force row level security', part);
end $$;

create table tenants (
  id uuid primary key,
  slug text not null unique,
  name text not null,
  settings jsonb not null default '{}',
  state text not null default 'active' check (state in ('active', 'suspended')),
  created_at timestamptz not null default now()
);
alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant on tenants to wh_tenant using (id = (select wh_current_tenant())) with check (id = (select wh_current_tenant()));
create policy auth on tenants to wh_auth using (true) with check (true);
create policy engine on tenants for select to wh_engine using (true);
grant select, update on tenants to wh_tenant;
grant select, insert, update on tenants to wh_auth;
grant select on tenants to wh_engine;

-- Everything that acts has a row here.
create table principals (
  tenant_id uuid not null references tenants (id),
  id uuid not null,
  kind text not null check (kind in ('user', 'key', 'agent', 'extension', 'worker', 'service', 'system')),
  subject text not null,
  name text not null,
  owner_id uuid,
  state text not null default 'active' check (state in ('active', 'frozen')),
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  primary key (tenant_id, id)
);
create unique index principals_subject on principals (tenant_id, kind, subject) where deleted_at is null;
select wh_protect('principals');
select wh_auth_access('principals', 'select, insert');
create policy engine on principals for select to wh_engine using (true);
grant select on principals to wh_engine;

create table users (
  tenant_id uuid not null,
  id uuid not null,
  username text not null,
  username_norm text not null,
  email text,
  email_norm text,
  display_name text,
  password_hash text,
  source text not null default 'local' check (source in ('local', 'oidc')),
  disabled boolean not null default false,
  last_login_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, id) references principals (tenant_id, id)
);
create unique index users_username on users (tenant_id, username_norm) where deleted_at is null;
create unique index users_email on users (tenant_id, email_norm) where deleted_at is null and email_norm is not null;
select wh_protect('users');
select wh_auth_access('users', 'select, insert, update');

create table external_identities (
  tenant_id uuid not null,
  issuer text not null,
  subject text not null,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, issuer, subject),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);
select wh_protect('external_identities');
select wh_auth_access('external_identities', 'select, insert');

create table groups (
  tenant_id uuid not null references tenants (id),
  name text not null,
  description text not null default '',
  source text not null default 'local' check (source in ('local', 'oidc')),
  created_at timestamptz not null default now(),
  primary key (tenant_id, name)
);
select wh_protect('groups');
select wh_auth_access('groups', 'select, insert');

create table group_members (
  tenant_id uuid not null,
  group_name text not null,
  principal_id uuid not null,
  source text not null default 'local' check (source in ('local', 'oidc')),
  primary key (tenant_id, group_name, principal_id),
  foreign key (tenant_id, group_name) references groups (tenant_id, name) on delete cascade,
  foreign key (tenant_id, principal_id) references principals (tenant_id, id) on delete cascade
);
create index group_members_principal on group_members (tenant_id, principal_id);
select wh_protect('group_members');
select wh_auth_access('group_members', 'select, insert, delete');

-- Built-in roles are rows too, so that lists and assignments know one kind of role; their patterns come from the code.
create table roles (
  tenant_id uuid not null references tenants (id),
  name text not null,
  description text not null default '',
  patterns text[] not null default '{}',
  pub jsonb not null default '{}',
  sub jsonb not null default '{}',
  extensions text[] not null default '{}',
  built_in boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, name)
);
select wh_protect('roles');
select wh_auth_access('roles', 'select, insert');

create table role_bindings (
  tenant_id uuid not null,
  id uuid not null,
  role text not null,
  principal_id uuid,
  group_name text,
  scope jsonb,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  check ((principal_id is null) <> (group_name is null)),
  foreign key (tenant_id, role) references roles (tenant_id, name) on delete cascade,
  foreign key (tenant_id, principal_id) references principals (tenant_id, id) on delete cascade
);
create unique index role_bindings_principal on role_bindings (tenant_id, principal_id, role) where principal_id is not null;
create unique index role_bindings_group on role_bindings (tenant_id, group_name, role) where group_name is not null;
select wh_protect('role_bindings');
select wh_auth_access('role_bindings', 'select, insert');

create table sessions (
  tenant_id uuid not null,
  id uuid not null,
  principal_id uuid not null,
  token_hash bytea not null,
  kind text not null check (kind in ('session', 'user-token', 'cli')),
  groups text[] not null default '{}',
  ip text,
  user_agent text,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  idle_ms bigint not null,
  last_seen_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, principal_id) references principals (tenant_id, id) on delete cascade
);
create unique index sessions_token on sessions (token_hash);
create index sessions_principal on sessions (tenant_id, principal_id);
create index sessions_expiry on sessions (expires_at);
select wh_protect('sessions');
select wh_auth_access('sessions', 'select, insert, update, delete');

create table api_keys (
  tenant_id uuid not null,
  id uuid not null,
  owner_id uuid not null,
  name text not null,
  notes text not null default '',
  prefix text not null,
  secret_hash bytea not null,
  roles text[] not null default '{}',
  admin boolean not null default false,
  kind text not null default 'user' check (kind in ('user', 'cli', 'tryit', 'service', 'agent', 'worker', 'system')),
  account text not null default 'own' check (account in ('own', 'tenant')),
  pub jsonb not null default '{}',
  sub jsonb not null default '{}',
  nats_public_key text,
  nats_sealed_seed text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, id) references principals (tenant_id, id),
  foreign key (tenant_id, owner_id) references principals (tenant_id, id)
);
create unique index api_keys_secret on api_keys (secret_hash);
create index api_keys_owner on api_keys (tenant_id, owner_id) where revoked_at is null;
create index api_keys_nats on api_keys (nats_public_key) where nats_public_key is not null;
select wh_protect('api_keys');
select wh_auth_access('api_keys', 'select, insert, update');

create table tickets (
  tenant_id uuid not null references tenants (id),
  id uuid not null,
  token_hash bytea not null,
  principal jsonb not null,
  path_class text not null,
  expires_at timestamptz not null,
  primary key (tenant_id, id)
);
create unique index tickets_token on tickets (token_hash);
create index tickets_expiry on tickets (expires_at);
select wh_protect('tickets');
select wh_auth_access('tickets', 'select, insert, delete');

-- Failed logins, counted per name and address and per name (jobs.md §2). No tenant: the name may not exist in any.
create table login_failures (
  key text primary key,
  failures integer not null,
  window_ends_at timestamptz not null
);
grant select, insert, update, delete on login_failures to wh_auth;

-- Keys of the installation: token signing, checkpoint signing. The private half is sealed by the vault.
create table signing_keys (
  id text primary key,
  purpose text not null check (purpose in ('token', 'checkpoint', 'cursor')),
  public_jwk jsonb,
  sealed_private text not null,
  created_at timestamptz not null default now(),
  retired_at timestamptz
);
grant select, insert, update on signing_keys to wh_auth;

-- Small facts of the installation itself: the first tenant, the admin's subject, the schema's feature marks.
create table installation (
  key text primary key,
  value jsonb not null
);
grant select, insert, update on installation to wh_auth;
grant select on installation to wh_tenant, wh_engine;

create table idempotency (
  tenant_id uuid not null references tenants (id),
  scope text not null,
  key text not null,
  body_hash bytea not null,
  status integer not null,
  headers jsonb not null default '{}',
  body text,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, scope, key)
);
create index idempotency_expiry on idempotency (expires_at);
select wh_protect('idempotency', engine => true);

-- Committed facts that are not yet sealed: domain events and audit rows. `n` is the order of sealing.
create table outbox (
  n bigint generated always as identity,
  tenant_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('event', 'audit')),
  at timestamptz not null,
  body jsonb not null,
  primary key (n)
);
select wh_protect('outbox', engine => true);
grant usage on sequence outbox_n_seq to wh_tenant, wh_engine;

create table chain_heads (
  tenant_id uuid not null references tenants (id),
  chain text not null check (chain in ('event', 'audit')),
  seq bigint not null,
  hash bytea not null,
  primary key (tenant_id, chain)
);
select wh_protect('chain_heads', engine => true, writes => false);

create table events (
  tenant_id uuid not null,
  seq bigint not null,
  id uuid not null,
  type text not null,
  at timestamptz not null,
  resource_kind text not null,
  resource_id text not null,
  body jsonb not null,
  hash bytea not null,
  primary key (tenant_id, seq)
);
create index events_resource on events (tenant_id, resource_kind, resource_id, seq desc);
create index events_at on events (tenant_id, at desc);
select wh_protect('events', reader => true, writes => false);
create policy engine on events to wh_engine using (true) with check (true);
grant select, insert on events to wh_engine;

create table audit (
  tenant_id uuid not null,
  seq bigint not null,
  id uuid not null,
  at timestamptz not null,
  actor_kind text not null,
  actor_id text not null,
  verb text not null,
  resource_kind text not null,
  resource_id text not null,
  outcome text not null check (outcome in ('ok', 'denied', 'failed')),
  body jsonb not null,
  hash bytea not null,
  primary key (tenant_id, seq)
);
create index audit_at on audit (tenant_id, at desc, seq desc);
create index audit_actor on audit (tenant_id, actor_id, at desc);
create index audit_resource on audit (tenant_id, resource_kind, resource_id, at desc);
create index audit_verb on audit (tenant_id, verb, at desc);
select wh_protect('audit', reader => true, writes => false);
create policy engine on audit to wh_engine using (true) with check (true);
grant select, insert on audit to wh_engine;

-- Signed checkpoints of a chain: whoever holds one can prove that nothing before it changed.
create table seals (
  tenant_id uuid not null references tenants (id),
  chain text not null,
  seq bigint not null,
  at timestamptz not null,
  envelope jsonb not null,
  primary key (tenant_id, chain, seq)
);
select wh_protect('seals', reader => true, writes => false);
create policy engine on seals to wh_engine using (true) with check (true);
grant select, insert on seals to wh_engine;
