-- Two users have one direct room per scheme: a room that one kind of client cannot read must not block that of another kind.
drop index rooms_direct_key;
create unique index rooms_direct_key on rooms (direct_key, scheme) where direct_key is not null;

-- Devices that wait for approval are deleted with their session.
create index devices_waiting on devices (id) where identity_signature is null;
