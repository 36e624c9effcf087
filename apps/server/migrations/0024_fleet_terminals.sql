-- A terminal waits as PENDING until policy lets it open; it is opened by the first socket that attaches.
alter table terminal_sessions drop constraint terminal_sessions_status_check;
alter table terminal_sessions add constraint terminal_sessions_status_check
  check (status in ('PENDING', 'ACTIVE', 'CLOSED', 'DISCONNECTED'));
alter table terminal_sessions add column opened_at timestamptz;
-- The last moment at which somebody was attached, to within some minutes: what a crash left open is closed by it.
alter table terminal_sessions add column seen_at timestamptz;
alter table terminal_sessions add column job_id text;
update terminal_sessions set seen_at = started_at;
alter table terminal_sessions alter column seen_at set not null;
create index terminal_sessions_seen on terminal_sessions (seen_at) where status <> 'CLOSED';
create policy sweep on terminal_sessions for all to wh_engine using (true) with check (true);
grant select, update on terminal_sessions to wh_engine;
