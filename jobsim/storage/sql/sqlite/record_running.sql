-- pending, failed, running -> running: the events of jobs whose lease was begun or prolonged just now.
INSERT INTO jobsim_event (at, job, kind, attempt, max_attempts, token, worker, due)
SELECT ?2, id, ?3, attempt, max_attempts, token, worker, lease_until
FROM carray(?1) AS wanted CROSS JOIN jobsim_job
WHERE id = wanted.value
