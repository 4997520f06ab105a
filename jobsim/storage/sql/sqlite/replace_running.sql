-- No change of state: a job gives its unique key up while it runs.
UPDATE jobsim_job SET replaced = 1 WHERE id = ?1
