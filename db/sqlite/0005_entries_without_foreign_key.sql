-- Nothing here: this foreign key is looked up in pages that the append has just read, and to lose it the whole log would have to be copied.
select 1;
