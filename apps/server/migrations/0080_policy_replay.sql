-- What-if replays the decisions of a window, newest first; audits and retention go by time too.
create index decisions_at on decisions (tenant_id, at, id);
