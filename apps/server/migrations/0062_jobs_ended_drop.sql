-- A job's last change is its end, so that `jobs_updated` serves the sweep as well: one index less to write at every end.
drop index jobs_ended;
