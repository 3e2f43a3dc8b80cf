-- The session's push subscription. The statement that ends the session sets it to null.
alter table sessions add column push_endpoint bytea;
create index sessions_push on sessions (user_id) where push_endpoint is not null;

-- When messages may wake the devices of an account.
create table notification_settings (
    user_id     uuid primary key references users (id) on delete cascade,
    muted       boolean not null,
    quiet_from  smallint,
    quiet_until smallint,
    time_zone   text,
    priority    smallint not null
);

-- The same for one room. It replaces all of the account's settings.
create table room_notification_settings (
    room_id     uuid not null,
    user_id     uuid not null,
    muted       boolean not null,
    quiet_from  smallint,
    quiet_until smallint,
    time_zone   text,
    priority    smallint not null,
    primary key (room_id, user_id),
    foreign key (room_id, user_id) references room_members (room_id, user_id) on delete cascade
);
create index room_notification_settings_user on room_notification_settings (user_id);
