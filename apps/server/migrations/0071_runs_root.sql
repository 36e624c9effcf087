-- The run that a tree of sub-runs began with, so that the whole tree can be bounded.
alter table runs add column root_run_id text;
create index runs_root on runs (tenant_id, root_run_id) where root_run_id is not null;
