-- Rooms of the scheme mls10 have a group. generation counts its resets, group_seq is the seq at which it began, commit_seq that of its newest commit.
alter table rooms add column scheme text not null default 'opaque';
alter table rooms add column generation integer not null default 0;
alter table rooms add column group_seq integer not null default 0;
alter table rooms add column commit_seq integer not null default 0;

alter table entries add column generation integer;

-- The public key that identifies a user to other users. Separate from accounts and devices.
create table identity_keys (
    user_id    blob not null primary key references users (id) on delete cascade,
    public_key blob not null
) without rowid;

-- A device outlives its session. Without an identity signature it waits for approval.
create table devices (
    id                 blob not null primary key,
    user_id            blob not null references users (id) on delete cascade,
    session_id         blob references sessions (id) on delete set null,
    scheme             text not null,
    signature_key      blob not null,
    link_key           blob not null,
    identity_signature blob,
    sealed_identity    blob,
    name               blob,
    created_on         integer not null,
    seen_on            integer not null
) without rowid;
create unique index devices_key on devices (user_id, signature_key);
create unique index devices_session on devices (session_id) where session_id is not null;
create index devices_seen on devices (seen_on);

-- The directory. A claimed KeyPackage loses its content. Its reference stays until expiry: a Welcome finds its device, and no client uploads it again.
create table key_packages (
    reference   blob not null primary key,
    device_id   blob not null references devices (id) on delete cascade,
    content     blob,
    last_resort integer not null,
    used        integer not null default 0,
    expires_at  integer not null
) without rowid;
create index key_packages_device on key_packages (device_id, expires_at) where content is not null and not last_resort;
create unique index key_packages_last_resort on key_packages (device_id) where content is not null and last_resort;
create index key_packages_of_device on key_packages (device_id);
create index key_packages_expires on key_packages (expires_at);

-- A Welcome is stored once for all recipients, with the commit that won. A recipient is removed once it has fetched the Welcome.
create table welcomes (
    room_id    blob not null references rooms (id) on delete cascade,
    seq        integer not null,
    number     integer not null,
    generation integer not null,
    message    blob not null,
    created_at integer not null,
    primary key (room_id, seq, number)
) without rowid;
create index welcomes_created on welcomes (created_at);

create table welcome_recipients (
    device_id blob not null references devices (id) on delete cascade,
    room_id   blob not null,
    seq       integer not null,
    number    integer not null,
    primary key (device_id, room_id, seq),
    foreign key (room_id, seq, number) references welcomes (room_id, seq, number) on delete cascade
) without rowid;
create index welcome_recipients_welcome on welcome_recipients (room_id, seq, number);

-- Members who cannot apply the newest commit. Deleted by the next commit or reset.
create table commit_reports (
    room_id blob not null references rooms (id) on delete cascade,
    seq     integer not null,
    user_id blob not null references users (id) on delete cascade,
    primary key (room_id, seq, user_id)
) without rowid;
create index commit_reports_user on commit_reports (user_id);
