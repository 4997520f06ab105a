-- running -> succeeded, dead_letter, cancelled; pending, failed, dead_letter -> cancelled
UPDATE jobsim_job
SET state = ?2, finished = ?3, ready = NULL, lease_until = NULL, worker = NULL
FROM carray(?1) AS wanted
WHERE id = wanted.value
