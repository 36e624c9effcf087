-- Keys that stand for a session on NATS, what of a key's credentials is in use there, and logins under way (OIDC, device).

alter table api_keys drop constraint api_keys_kind_check;
alter table api_keys add constraint api_keys_kind_check
  check (kind in ('user', 'cli', 'tryit', 'service', 'agent', 'worker', 'system', 'session'));
-- The session that a key of kind `session` belongs to; it ends with it. No foreign key: the sweep cuts the credential off first.
alter table api_keys add column session_id uuid;
-- When a NATS credential was last minted; null once none can be alive any more.
alter table api_keys add column nats_minted_at timestamptz;
-- Rights became fewer since: what was minted must be refused. Written with the change, cleared when the server has it.
alter table api_keys add column nats_stale boolean not null default false;
create unique index api_keys_session on api_keys (tenant_id, session_id) where session_id is not null;
create index api_keys_minted on api_keys (tenant_id, id) where nats_minted_at is not null;
create index api_keys_passing on api_keys (expires_at) where kind in ('tryit', 'session');
drop index api_keys_nats;
create unique index api_keys_nats on api_keys (nats_public_key) where nats_public_key is not null;

-- The login path deletes keys that have passed, sets groups as the provider names them, and freezes who must not act any more.
grant delete on api_keys to wh_auth;
grant update on principals to wh_auth;
grant update on groups to wh_auth;

-- A login at the OpenID provider between its two redirects. No tenant: it is known when the provider has answered.
create table oidc_flows (
  state_hash bytea primary key,
  -- Held by the browser that began: another one cannot finish the login.
  browser_hash bytea not null,
  sealed text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
grant select, insert, delete on oidc_flows to wh_auth;

-- A login on a device without a browser (RFC 8628).
create table device_flows (
  id uuid primary key,
  device_hash bytea not null unique,
  user_code_hash bytea not null unique,
  client text not null default '',
  ip text not null,
  state text not null default 'pending' check (state in ('pending', 'approved', 'denied')),
  tenant uuid,
  principal uuid,
  interval_ms integer not null,
  polled_at timestamptz,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
grant select, insert, update, delete on device_flows to wh_auth;
