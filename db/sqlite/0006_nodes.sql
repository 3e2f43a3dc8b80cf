-- The id that database and key directory share, so that neither is used without the other; and the time up to which expired content is purged.
alter table installation add column installation_id blob;
alter table installation add column purged_until integer;

-- The server processes of this database. Each compares the others' rows with its own and reports differences.
create table nodes (
    id          blob not null primary key,
    name        text not null,
    version     text not null,
    signing_key text not null,
    redis       integer not null,
    clock_ahead integer not null,
    seen_at     integer not null
) without rowid;
