-- No change. The append has already read the pages of this foreign key, and dropping it would copy the whole log.
select 1;
