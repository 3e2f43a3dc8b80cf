-- What the user calls the session, encrypted by the user.
alter table sessions add column label blob;
