-- Which key of the server the owner proof was computed with. An older node writes the first key's proofs, and the default says so.
alter table entries add column key_version smallint not null default 1;

-- An entry whose content is deleted has no time.
alter table entries alter column created_at drop not null;
