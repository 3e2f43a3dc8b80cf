-- Usernames of deleted accounts, as keyed hashes: such a name is not handed out again for a year.
create table released_names (
    name_hash   blob not null primary key,
    released_on integer not null
) without rowid;
create index released_names_released on released_names (released_on);

-- Whose commits members have reported as invalid, and until when such a member may not commit.
create table commit_throttles (
    room_id       blob not null references rooms (id) on delete cascade,
    user_id       blob not null references users (id) on delete cascade,
    seq           integer not null,
    strikes       integer not null,
    blocked_until integer,
    forgotten_at  integer not null,
    primary key (room_id, user_id)
) without rowid;
create index commit_throttles_user on commit_throttles (user_id);
create index commit_throttles_forgotten on commit_throttles (forgotten_at);

-- The founder, and the other user of a direct room, at their places in a founding of the scheme mls10: erasing an account finds both.
create index rooms_founder on rooms (substr(founding, 10, 16)) where founding is not null;
create index rooms_other on rooms (substr(founding, 74, 16)) where founding is not null;
