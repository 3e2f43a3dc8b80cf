-- An id that the database and the key directory share, so that neither is used without the other, and how far expired content has been purged.
alter table installation add column installation_id blob;
alter table installation add column purged_until integer;

-- The server processes on this database: each compares the others' rows with its own and says where they disagree.
create table nodes (
    id          blob not null primary key,
    name        text not null,
    version     text not null,
    signing_key text not null,
    redis       integer not null,
    clock_ahead integer not null,
    seen_at     integer not null
) without rowid;
