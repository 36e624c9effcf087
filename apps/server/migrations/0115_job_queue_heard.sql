-- The claim whose taker has spoken (sent progress), where it was offered to whoever listens on the topic: until then nobody is known to have it.
alter table job_queue add column heard_fence bigint;
