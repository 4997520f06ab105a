-- running -> running, but the unique key is another's from now on
UPDATE jobsim.job SET replaced = true WHERE id = ANY ($1::bigint[])
