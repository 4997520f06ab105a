-- running -> any: the event that holds the error's text.
UPDATE jobsim_job SET last_error = ?1 WHERE id = ?2
