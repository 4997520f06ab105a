-- When a job of a queue that is ready was due, of those for which there is no limit.
SELECT run_at FROM jobsim_job INDEXED BY jobsim_job_ready
WHERE queue = ?1 AND ready = 1 AND limited = 0 LIMIT 1
