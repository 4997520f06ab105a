-- pending, failed -> running
UPDATE jobsim_job AS job
SET state = ?1, ready = NULL, attempt = attempt + 1, token = token + 1, attempted = ?2, lease_until = ?3,
    worker = ?4
FROM carray(?5) AS wanted
WHERE job.id = wanted.value
