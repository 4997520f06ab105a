-- pending, failed -> cancelled, as another job takes the unique key
UPDATE jobsim_job SET state = ?1, finished = ?2, ready = NULL WHERE id = ?3
