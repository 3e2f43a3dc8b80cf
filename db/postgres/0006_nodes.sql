-- An id that the database and the key directory share, so that neither is used without the other, and how far expired content has been purged.
alter table installation add column installation_id uuid;
alter table installation add column purged_until timestamptz;

-- The server processes on this database: each compares the others' rows with its own and says where they disagree.
create table nodes (
    id          uuid primary key,
    name        text not null,
    version     text not null,
    signing_key text not null,
    redis       smallint not null,
    clock_ahead integer not null,
    seen_at     timestamptz not null
);
