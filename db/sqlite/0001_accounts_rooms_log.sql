-- The same tables as on Postgres. Ids are 16-byte blobs, times are Unix seconds (UTC).
create table users (
    id            blob not null primary key,
    username      text not null,
    email         blob not null,
    email_hash    blob not null,
    password_hash text not null,
    role          integer not null default 0,
    disabled      integer not null default 0,
    created_on    integer not null,
    updated_on    integer not null
) without rowid;
create unique index users_username on users (username);
create unique index users_email_hash on users (email_hash);

create table sessions (
    id         blob not null primary key,
    user_id    blob not null references users (id) on delete cascade,
    started_at integer not null,
    ended_at   integer,
    expires_at integer not null
) without rowid;
create index sessions_user on sessions (user_id);
create index sessions_ended on sessions (ended_at) where ended_at is not null;
create index sessions_expires on sessions (expires_at) where ended_at is null;

create table refresh_tokens (
    hash       blob not null primary key,
    session_id blob not null references sessions (id) on delete cascade,
    spent_at   integer,
    expires_at integer not null
) without rowid;
create index refresh_tokens_session on refresh_tokens (session_id);
create index refresh_tokens_expires on refresh_tokens (expires_at);

create table tickets (
    hash       blob not null primary key,
    session_id blob not null references sessions (id) on delete cascade,
    expires_at integer not null
) without rowid;
create index tickets_session on tickets (session_id);
create index tickets_expires on tickets (expires_at);

create table rooms (
    id           blob not null primary key,
    kind         integer not null,
    name         blob,
    visible      integer not null,
    time_to_live integer,
    direct_key   blob,
    epoch        integer not null default 0,
    last_seq     integer not null default 0,
    first_seq    integer not null default 1,
    created_on   integer not null
) without rowid;
create unique index rooms_direct_key on rooms (direct_key) where direct_key is not null;

create table room_members (
    room_id       blob not null references rooms (id) on delete cascade,
    user_id       blob not null references users (id),
    role          integer not null,
    joined_seq    integer not null,
    delivered_seq integer not null,
    primary key (room_id, user_id)
) without rowid;
create index room_members_user on room_members (user_id);

create table entries (
    room_id     blob not null references rooms (id) on delete cascade,
    seq         integer not null,
    kind        integer not null,
    created_at  integer not null,
    expires_at  integer,
    id          blob,
    owner_proof blob,
    ciphertext  blob,
    epoch       integer not null default 0,
    sender_id   blob,
    target_seq  integer,
    user_id     blob,
    role        integer,
    settings    blob,
    primary key (room_id, seq)
) without rowid;
create unique index entries_id on entries (room_id, id) where id is not null;
create index entries_expires on entries (expires_at) where expires_at is not null;
-- For erasure: roster entries, and senders in visible rooms. Sealed messages have neither column.
create index entries_target on entries (room_id, target_seq) where target_seq is not null;
create index entries_user on entries (user_id) where user_id is not null;
create index entries_sender on entries (sender_id) where sender_id is not null;
