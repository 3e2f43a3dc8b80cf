-- Ties the database to the keys of its servers: a node with other keys could verify nothing that is stored here, so it must not start.
create table installation (
    id        integer not null primary key check (id = 1),
    key_check blob not null
);
