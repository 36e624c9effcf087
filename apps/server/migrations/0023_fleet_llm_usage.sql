-- What language models cost on each machine, as agents report it (fleet.md §3.2). A batch that was sent twice is stored once.
create table llm_usage (
  tenant_id uuid not null,
  id uuid not null,
  instance_id text not null,
  at timestamptz not null,
  provider text not null,
  model text not null,
  operation text,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint,
  cache_write_tokens bigint,
  cost_micros bigint not null,
  source text not null check (source in ('agent', 'provider-api', 'reconciled')),
  capture_tier text,
  trace_id text,
  -- SHA-256 of the record as it was sent.
  fingerprint bytea not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, instance_id) references instances (tenant_id, id) on delete cascade
);
create unique index llm_usage_once on llm_usage (tenant_id, instance_id, fingerprint);
create index llm_usage_at on llm_usage (tenant_id, at);
create index llm_usage_instance on llm_usage (tenant_id, instance_id, at);
select wh_protect('llm_usage');
