-- Whether the server stores how far an account has received each of its rooms. The account can turn it off.
alter table users add column delivery_cursor integer not null default 1;
