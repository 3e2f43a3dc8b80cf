-- A foreign key looks up and locks the room again for every envelope: a third of the cost of an append. The append holds the room's lock and has
-- raised its last_seq, so the room exists. A trigger deletes the entries of a deleted room. Its statement sees all entries that were appended before
-- it got the room's lock.
-- Locks in the order of a concurrent append; otherwise one of the two would be the victim of a deadlock.
lock table rooms, entries in access exclusive mode;

alter table entries drop constraint entries_room_id_fkey;

create function delete_entries() returns trigger language plpgsql as $$
begin
    delete from entries where room_id = old.id;
    return null;
end
$$;

create trigger rooms_delete_entries after delete on rooms for each row execute function delete_entries();
