-- running -> failed, pending
UPDATE jobsim_job
SET state = ?1, ready = ?2, attempt = ?3, run_at = ?4, delay = ?5, lease_until = NULL, worker = NULL
WHERE id = ?6
