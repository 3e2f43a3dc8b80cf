-- As on Postgres. Not used: SQLite overwrites deleted content without a rewrite.
alter table installation add column rewritten_on integer;
