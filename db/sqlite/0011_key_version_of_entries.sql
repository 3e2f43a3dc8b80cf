-- The dropped table's pages are overwritten, because they contain content.
pragma secure_delete = on;

-- A table with rowids appends each entry behind the last one: no entry moves, and a message of 1,024 bytes has its size. Without rowids it took a page
-- of its own, because SQLite keeps at most a quarter of a page in a row whose key is in the table's tree.
create table entries_with_rowid (
    room_id     blob not null references rooms (id) on delete cascade,
    seq         integer not null,
    kind        integer not null,
    created_at  integer,
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
    generation  integer,
    key_version integer not null default 1,
    primary key (room_id, seq)
);

-- An entry whose content is deleted (kind 8) has no time.
insert into entries_with_rowid (
    room_id, seq, kind, created_at, expires_at, id, owner_proof, ciphertext, epoch, sender_id, target_seq, user_id, role, settings, generation)
select
    room_id, seq, kind, case when kind <> 8 then created_at end, expires_at, id, owner_proof, ciphertext, epoch, sender_id, target_seq, user_id, role,
    settings, generation
from entries;

drop table entries;
alter table entries_with_rowid rename to entries;

create unique index entries_id on entries (room_id, id) where id is not null;
create index entries_expires on entries (expires_at) where expires_at is not null;
create index entries_target on entries (room_id, target_seq) where target_seq is not null;
create index entries_user on entries (user_id) where user_id is not null;
create index entries_sender on entries (sender_id) where sender_id is not null;
