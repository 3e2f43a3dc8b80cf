-- The signed object from which the room's id is computed. The server stores and returns it.
alter table rooms add column founding blob;

-- The signed lists of a user's devices, a chain. Members check it; the server only keeps out what is not the next list.
create table device_lists (
    user_id blob not null references users (id) on delete cascade,
    number  integer not null,
    list    blob not null,
    primary key (user_id, number)
) without rowid;
