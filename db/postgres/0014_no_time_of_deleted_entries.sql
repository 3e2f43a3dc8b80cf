-- Kind 8 is gone. Apart from 0011, which locks the table: this reads all of it, while sends continue.
update entries set created_at = null where kind = 8 and created_at is not null;
