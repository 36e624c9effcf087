-- Who asks through somebody else is who asks: everyone in whose name the request came, so that none of them decides it (decisions D5).
alter table approvals add column requested_chain text[] not null default '{}';
