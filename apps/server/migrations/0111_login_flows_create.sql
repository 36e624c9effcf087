-- Logins under way at providers outside, and users, groups and memberships that come from one that speaks SAML.

-- No tenant: it is known when the provider has answered. In place of oidc_flows, which replicas of the version before still write; a later
-- migration drops that.
create table login_flows (
  state_hash bytea primary key,
  -- The step that may take it up, and no other.
  awaited text not null check (awaited in ('oidc callback', 'saml response', 'saml session')),
  -- Held by the browser that began: another one cannot finish the login.
  browser_hash bytea not null,
  sealed text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
grant select, insert, delete on login_flows to wh_auth;

alter table users drop constraint users_source_check;
alter table users add constraint users_source_check check (source in ('local', 'oidc', 'saml'));
alter table groups drop constraint groups_source_check;
alter table groups add constraint groups_source_check check (source in ('local', 'oidc', 'saml'));
alter table group_members drop constraint group_members_source_check;
alter table group_members add constraint group_members_source_check check (source in ('local', 'oidc', 'saml'));
