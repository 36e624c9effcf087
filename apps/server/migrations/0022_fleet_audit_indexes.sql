-- Fleet reads the trail by the person behind a key and by what was done (fleet.md §2, Audit).
create index audit_person on audit (tenant_id, (body #>> '{actor,onBehalfOf,0}'), at desc, seq desc);
create index audit_action on audit (tenant_id, split_part(verb, '.', 2), at desc, seq desc);

-- Commands are kept as long as the jobs behind them; the sweep drops them.
create index command_executions_age on command_executions (completed_at) where completed_at is not null;
create policy sweep on command_executions for all to wh_engine using (true) with check (true);
grant select, delete on command_executions to wh_engine;
