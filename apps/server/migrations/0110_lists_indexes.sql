-- Each filter of the lists of jobs and runs has its index: by topic, and by team.
create index jobs_topic on jobs (tenant_id, topic, updated_us desc);
create index jobs_team on jobs (tenant_id, (request -> 'env' ->> 'team_id'), updated_us desc) where request -> 'env' ->> 'team_id' is not null;
create index runs_team on runs (tenant_id, team_id, updated_us desc, id desc);
