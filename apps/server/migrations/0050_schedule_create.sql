-- Work of the installation that repeats: one row a task, claimed by the replica that runs it. No tenant: it sweeps all of them.
create table schedule (
  name text primary key,
  next_at timestamptz not null,
  last_started_at timestamptz,
  last_ended_at timestamptz,
  last_error text
);
grant select, insert, update, delete on schedule to wh_engine;

-- What retention may remove: only what has ended, never history that the trail holds.
create policy engine on sessions for delete to wh_engine using (true);
create policy engine_read on sessions for select to wh_engine using (true);
grant select, delete on sessions to wh_engine;
create policy engine on tickets for delete to wh_engine using (true);
create policy engine_read on tickets for select to wh_engine using (true);
grant select, delete on tickets to wh_engine;
grant select, delete on login_failures to wh_engine;
