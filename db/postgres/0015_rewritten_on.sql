-- The day on which the retention job last rewrote the tables.
alter table installation add column rewritten_on timestamptz;
