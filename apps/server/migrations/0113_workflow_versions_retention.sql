-- Old forms of workflows are removed once there are enough newer ones and no run names them.
create index runs_version on runs (tenant_id, workflow_id, revision);
create policy engine on workflow_versions to wh_engine using (true) with check (true);
grant select, delete on workflow_versions to wh_engine;
create policy engine on workflows for select to wh_engine using (true);
grant select on workflows to wh_engine;
