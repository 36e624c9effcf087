-- Rows stay in the outbox for moments: what they leave behind is cleared by number, not by share of a table that is always nearly empty.
alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
