-- Each filter of the lists of jobs and runs has its index.
create index jobs_topic on jobs (tenant_id, topic, updated_us desc);
-- A column of its own: under row-level security no index answers for an operator of jsonb.
alter table jobs add column team_id text generated always as (request -> 'env' ->> 'team_id') stored;
create index jobs_team on jobs (tenant_id, team_id, updated_us desc) where team_id is not null;
create index runs_team on runs (tenant_id, team_id, updated_us desc, id desc);
-- Jobs that have not ended: those that wait in the order of the list, those that are held by themselves, however many others wait.
create index jobs_open on jobs (tenant_id, updated_us desc) where state = 'open';
create index job_queue_held on job_queue (tenant_id) where state = 'held';
