-- Telemetry: partitioned by day of `at`, each id a UUIDv7 of its `at`, so that an id finds its day (decisions D4).
-- Written by batches through wh_engine alone; searched by db.big() with operators that row-level security keeps from an index (D6).

create table logs (
  tenant_id uuid not null,
  at timestamptz not null,
  id uuid not null,
  instance_id text not null,
  level text not null,
  source text not null,
  message text not null,
  metadata jsonb,
  deployment_id text,
  primary key (tenant_id, at, id)
) partition by range (at);
create index logs_instance on logs (tenant_id, instance_id, at desc, id desc);
create index logs_level on logs (tenant_id, level, at desc, id desc);
create index logs_source on logs (tenant_id, source, at desc, id desc);
create index logs_deployment on logs (tenant_id, deployment_id, at desc, id desc) where deployment_id is not null;
create index logs_words on logs using gin (to_tsvector('simple', message));
select wh_protect('logs', engine => true, reader => true, writes => false);

-- How many lines there were in an hour: statistics without a scan.
create table log_counts (
  tenant_id uuid not null,
  hour timestamptz not null,
  instance_id text not null,
  level text not null,
  source text not null,
  n bigint not null,
  primary key (tenant_id, hour, instance_id, level, source)
);
create index log_counts_instance on log_counts (tenant_id, instance_id, hour);
create index log_counts_age on log_counts (hour);
select wh_protect('log_counts', engine => true, writes => false);

create table metrics (
  tenant_id uuid not null,
  at timestamptz not null,
  id uuid not null,
  instance_id text not null,
  cpu_percent double precision not null,
  load_avg_1 double precision,
  load_avg_5 double precision,
  load_avg_15 double precision,
  cpu_steal double precision,
  core_count integer,
  mem_used bigint not null,
  mem_total bigint not null,
  mem_cached bigint,
  swap_used bigint,
  swap_total bigint,
  disk_used bigint not null,
  disk_total bigint not null,
  disk_read_bytes bigint,
  disk_write_bytes bigint,
  net_bytes_sent bigint,
  net_bytes_recv bigint,
  net_packets_sent bigint,
  net_packets_recv bigint,
  process_count integer,
  uptime_seconds bigint,
  primary key (tenant_id, at, id)
) partition by range (at);
create index metrics_instance on metrics (tenant_id, instance_id, at desc, id desc);
select wh_protect('metrics', engine => true, reader => true, writes => false);

create table heartbeats (
  tenant_id uuid not null,
  at timestamptz not null,
  id uuid not null,
  instance_id text not null,
  cpu_percent double precision,
  memory_used bigint,
  memory_total bigint,
  disk_used bigint,
  disk_total bigint,
  uptime_seconds bigint not null,
  primary key (tenant_id, at, id)
) partition by range (at);
create index heartbeats_instance on heartbeats (tenant_id, instance_id, at desc, id desc);
select wh_protect('heartbeats', engine => true, writes => false);

-- Roll-ups (fleet.md §3.7). Sums beside counts, so that any buckets made of them have exact means.
create table metric_hours (
  tenant_id uuid not null,
  at timestamptz not null,
  instance_id text not null,
  samples integer not null,
  cpu_sum double precision not null,
  cpu_max double precision not null,
  mem_sum double precision not null,
  mem_max bigint not null,
  mem_total bigint not null,
  disk_sum double precision not null,
  disk_max bigint not null,
  disk_total bigint not null,
  load1_sum double precision,
  load5_sum double precision,
  load15_sum double precision,
  load_samples integer not null,
  net_sent_sum double precision,
  net_recv_sum double precision,
  net_samples integer not null,
  primary key (tenant_id, instance_id, at)
);
create index metric_hours_at on metric_hours (tenant_id, at);
create index metric_hours_age on metric_hours (at);
select wh_protect('metric_hours', engine => true, writes => false);

create table metric_days (like metric_hours including defaults including constraints);
alter table metric_days add primary key (tenant_id, instance_id, at);
create index metric_days_at on metric_days (tenant_id, at);
create index metric_days_age on metric_days (at);
select wh_protect('metric_days', engine => true, writes => false);

-- Makes the partition of a UTC day where it is missing. Runs with the owner's rights; the engine alone may call it, for these tables alone.
create function fleet_ensure_day(parent text, day date) returns void
language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' as $$
begin
  if parent not in ('logs', 'metrics', 'heartbeats') then raise exception 'no telemetry table: %', parent; end if;
  if to_regclass(format('%s_%s', parent, to_char(day, 'YYYYMMDD'))) is not null then return; end if;
  perform pg_advisory_xact_lock(hashtext('fleet_ensure_day ' || parent));
  perform wh_partition(parent::regclass, day);
end $$;
revoke all on function fleet_ensure_day(text, date) from public;
grant execute on function fleet_ensure_day(text, date) to wh_engine;

-- Drops the days of a telemetry table before one; answers how many.
create function fleet_drop_days(parent text, before date) returns integer
language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' as $$
declare
  part text;
  dropped integer := 0;
begin
  if parent not in ('logs', 'metrics', 'heartbeats') then raise exception 'no telemetry table: %', parent; end if;
  for part in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = parent::regclass and c.relname < format('%s_%s', parent, to_char(before, 'YYYYMMDD'))
  loop
    execute format('drop table %I', part);
    dropped := dropped + 1;
  end loop;
  return dropped;
end $$;
revoke all on function fleet_drop_days(text, date) from public;
grant execute on function fleet_drop_days(text, date) to wh_engine;
