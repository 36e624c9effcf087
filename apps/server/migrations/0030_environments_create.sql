-- Environments and their freeze windows (release.md §6.1, §6.2).

create table environments (
  tenant_id uuid not null references tenants (id),
  id uuid not null,
  name text not null,
  display_name text not null,
  order_index integer not null check (order_index >= 0),
  config jsonb not null,
  is_production boolean not null default false,
  -- Whether someone said what is_production is; otherwise it follows from name and order.
  production_set boolean not null default false,
  required_approvals integer not null default 0 check (required_approvals between 0 and 10),
  require_separation_of_duties boolean not null default false,
  auto_promote_from uuid,
  promotion_policy text,
  default_strategy jsonb,
  workflow_template_id uuid,
  created_by uuid not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version integer not null default 1,
  deleted_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, auto_promote_from) references environments (tenant_id, id)
);
create unique index environments_name on environments (tenant_id, name) where deleted_at is null;
create unique index environments_order on environments (tenant_id, order_index) where deleted_at is null;
create index environments_auto_promote on environments (tenant_id, auto_promote_from) where deleted_at is null and auto_promote_from is not null;
select wh_protect('environments');

-- Occurrences of a window: the n-th begins n periods after the first, counted in UTC from the first one (31 January, 28 February, 31 March).
create function wh_occurrence(first timestamptz, freq text, n integer) returns timestamptz language sql immutable parallel safe
as $$
  select case freq
    when 'weekly' then ((first at time zone 'UTC') + n * interval '7 days') at time zone 'UTC'
    when 'monthly' then ((first at time zone 'UTC') + n * interval '1 month') at time zone 'UTC'
    when 'yearly' then ((first at time zone 'UTC') + n * interval '1 year') at time zone 'UTC'
    else case when n = 0 then first end
  end
$$;

-- The start of the last occurrence that begins at or before `bound`; null when there is none.
-- Whether a window is active, or overlaps a time, follows from it: the last to begin is the last to end.
create function wh_last_occurrence(first timestamptz, freq text, until timestamptz, bound timestamptz) returns timestamptz
language plpgsql immutable parallel safe as $$
declare
  stop timestamptz := least(bound, coalesce(until, bound));
  f timestamp := first at time zone 'UTC';
  s timestamp := stop at time zone 'UTC';
  n integer;
begin
  if stop < first then return null; end if;
  if freq is null then return first; end if;
  n := case freq
    when 'weekly' then floor(extract(epoch from stop - first) / 604800)
    when 'monthly' then (extract(year from s) - extract(year from f)) * 12 + extract(month from s) - extract(month from f)
    else extract(year from s) - extract(year from f)
  end;
  if wh_occurrence(first, freq, n) > stop then n := n - 1; end if;
  return wh_occurrence(first, freq, n);
end $$;

-- The start of the first occurrence that begins after `bound`; null when there is none.
create function wh_next_occurrence(first timestamptz, freq text, until timestamptz, bound timestamptz) returns timestamptz
language plpgsql immutable parallel safe as $$
declare
  following timestamptz;
  n integer := 0;
begin
  if bound < first then return first; end if;
  if freq is null then return null; end if;
  n := case freq
    when 'weekly' then floor(extract(epoch from bound - first) / 604800)
    when 'monthly' then (extract(year from bound at time zone 'UTC') - extract(year from first at time zone 'UTC')) * 12
      + extract(month from bound at time zone 'UTC') - extract(month from first at time zone 'UTC')
    else extract(year from bound at time zone 'UTC') - extract(year from first at time zone 'UTC')
  end;
  following := wh_occurrence(first, freq, n);
  if following <= bound then following := wh_occurrence(first, freq, n + 1); end if;
  return case when following <= coalesce(until, following) then following end;
end $$;

create table freeze_windows (
  tenant_id uuid not null,
  id uuid not null,
  environment_id uuid not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  reason text not null,
  exceptions uuid[] not null default '{}',
  freq text check (freq in ('weekly', 'monthly', 'yearly')),
  until timestamptz,
  -- The occurrence whose start, and whose end, was last told to the world.
  started_occurrence timestamptz,
  ended_occurrence timestamptz,
  -- When there is next something to tell; null: never again.
  due_at timestamptz,
  created_by uuid not null,
  created_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id) on delete cascade,
  check (ends_at > starts_at)
);
create index freeze_windows_environment on freeze_windows (tenant_id, environment_id, starts_at);
create index freeze_windows_due on freeze_windows (tenant_id, due_at) where due_at is not null;
select wh_protect('freeze_windows');
