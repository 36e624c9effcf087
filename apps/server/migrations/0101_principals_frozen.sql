-- Who is frozen is asked at every change of rights, and is nobody nearly always.
create index principals_frozen on principals (tenant_id, id) where state = 'frozen';
