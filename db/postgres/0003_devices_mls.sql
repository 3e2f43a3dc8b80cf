-- Rooms of the scheme mls10 have a group. generation counts its resets, group_seq is the seq at which it began, commit_seq that of its newest commit.
alter table rooms add column scheme text not null default 'opaque';
alter table rooms add column generation integer not null default 0;
alter table rooms add column group_seq bigint not null default 0;
alter table rooms add column commit_seq bigint not null default 0;

alter table entries add column generation integer;

-- The public key that identifies a user to other users. Separate from accounts and devices.
create table identity_keys (
    user_id    uuid primary key references users (id) on delete cascade,
    public_key bytea not null
);

-- A device outlives its session. Without an identity signature it waits for approval.
create table devices (
    id                 uuid primary key,
    user_id            uuid not null references users (id) on delete cascade,
    session_id         uuid references sessions (id) on delete set null,
    scheme             text not null,
    signature_key      bytea not null,
    link_key           bytea not null,
    identity_signature bytea,
    sealed_identity    bytea,
    name               bytea,
    created_on         timestamptz not null,
    seen_on            timestamptz not null
);
create unique index devices_key on devices (user_id, signature_key);
create unique index devices_session on devices (session_id) where session_id is not null;
create index devices_seen on devices (seen_on);

-- The directory. A claimed KeyPackage loses its content. Its reference stays until expiry: a Welcome finds its device, and no client uploads it again.
create table key_packages (
    reference   bytea primary key,
    device_id   uuid not null references devices (id) on delete cascade,
    content     bytea,
    last_resort boolean not null,
    used        boolean not null default false,
    expires_at  timestamptz not null
);
create index key_packages_device on key_packages (device_id, expires_at) where content is not null and not last_resort;
create unique index key_packages_last_resort on key_packages (device_id) where content is not null and last_resort;
create index key_packages_of_device on key_packages (device_id);
create index key_packages_expires on key_packages (expires_at);

-- A Welcome is stored once for all recipients, with the commit that won. A recipient is removed once it has fetched the Welcome.
create table welcomes (
    room_id    uuid not null references rooms (id) on delete cascade,
    seq        bigint not null,
    number     integer not null,
    generation integer not null,
    message    bytea not null,
    created_at timestamptz not null,
    primary key (room_id, seq, number)
);
alter table welcomes alter column message set storage external;
create index welcomes_created on welcomes (created_at);

create table welcome_recipients (
    device_id uuid not null references devices (id) on delete cascade,
    room_id   uuid not null,
    seq       bigint not null,
    number    integer not null,
    primary key (device_id, room_id, seq),
    foreign key (room_id, seq, number) references welcomes (room_id, seq, number) on delete cascade
);
create index welcome_recipients_welcome on welcome_recipients (room_id, seq, number);

-- Members who cannot apply the newest commit. Deleted by the next commit or reset.
create table commit_reports (
    room_id uuid not null references rooms (id) on delete cascade,
    seq     bigint not null,
    user_id uuid not null references users (id) on delete cascade,
    primary key (room_id, seq, user_id)
);
create index commit_reports_user on commit_reports (user_id);
