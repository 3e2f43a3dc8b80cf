-- Accounts, sessions and tokens. Times are only as precise as their purpose needs.
create table users (
    id            uuid primary key,
    username      text not null,
    email         bytea not null,
    email_hash    bytea not null,
    password_hash text not null,
    role          smallint not null default 0,
    disabled      boolean not null default false,
    created_on    timestamptz not null,
    updated_on    timestamptz not null
);
create unique index users_username on users (username);
create unique index users_email_hash on users (email_hash);

create table sessions (
    id         uuid primary key,
    user_id    uuid not null references users (id) on delete cascade,
    started_at timestamptz not null,
    ended_at   timestamptz,
    expires_at timestamptz not null
);
create index sessions_user on sessions (user_id);
create index sessions_ended on sessions (ended_at) where ended_at is not null;
create index sessions_expires on sessions (expires_at) where ended_at is null;

create table refresh_tokens (
    hash       bytea primary key,
    session_id uuid not null references sessions (id) on delete cascade,
    spent_at   timestamptz,
    expires_at timestamptz not null
);
create index refresh_tokens_session on refresh_tokens (session_id);
create index refresh_tokens_expires on refresh_tokens (expires_at);

create table tickets (
    hash       bytea primary key,
    session_id uuid not null references sessions (id) on delete cascade,
    expires_at timestamptz not null
);
create index tickets_session on tickets (session_id);
create index tickets_expires on tickets (expires_at);

-- A room is one log. last_seq is the only source of new seqs; first_seq is the first seq that retention kept.
create table rooms (
    id           uuid primary key,
    kind         smallint not null,
    name         bytea,
    visible      boolean not null,
    time_to_live integer,
    direct_key   bytea,
    epoch        bigint not null default 0,
    last_seq     bigint not null default 0,
    first_seq    bigint not null default 1,
    created_on   timestamptz not null
) with (fillfactor = 50);
create unique index rooms_direct_key on rooms (direct_key) where direct_key is not null;

create table room_members (
    room_id       uuid not null references rooms (id) on delete cascade,
    user_id       uuid not null references users (id),
    role          smallint not null,
    joined_seq    bigint not null,
    delivered_seq bigint not null,
    primary key (room_id, user_id)
) with (fillfactor = 80);
create index room_members_user on room_members (user_id);

create table entries (
    room_id     uuid not null references rooms (id) on delete cascade,
    seq         bigint not null,
    kind        smallint not null,
    created_at  timestamptz not null,
    expires_at  timestamptz,
    id          uuid,
    owner_proof bytea,
    ciphertext  bytea,
    epoch       bigint not null default 0,
    sender_id   uuid,
    target_seq  bigint,
    user_id     uuid,
    role        smallint,
    settings    bytea,
    primary key (room_id, seq)
);
-- Envelopes do not compress; trying would cost CPU time at each insert.
alter table entries alter column ciphertext set storage external;
create unique index entries_id on entries (room_id, id) where id is not null;
create index entries_expires on entries (expires_at) where expires_at is not null;
-- For erasure: roster entries, and senders in visible rooms. Sealed messages have neither column.
create index entries_target on entries (room_id, target_seq) where target_seq is not null;
create index entries_user on entries (user_id) where user_id is not null;
create index entries_sender on entries (sender_id) where sender_id is not null;
