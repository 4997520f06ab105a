-- pending, failed -> running
UPDATE jobsim_job
SET state = ?2, ready = NULL, attempt = attempt + 1, token = token + 1, attempted = ?3, lease_until = ?4,
    worker = ?5
FROM carray(?1) AS wanted
WHERE id = wanted.value
