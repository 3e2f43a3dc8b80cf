-- Ties the database to the keys of its servers. A node with other keys could verify no stored value, so it must not start.
create table installation (
    id        smallint primary key check (id = 1),
    key_check bytea not null
);
