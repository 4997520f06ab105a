-- running -> succeeded, dead_letter, cancelled; pending, failed, dead_letter -> cancelled
UPDATE jobsim_job AS job
SET state = ?1, finished = ?2, ready = NULL, lease_until = NULL, worker = NULL
FROM carray(?3) AS wanted
WHERE job.id = wanted.value
