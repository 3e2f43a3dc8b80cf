-- No change. 0011 copied these rows without their time.
select 1;
