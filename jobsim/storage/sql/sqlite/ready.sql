-- The ready jobs of a queue for which there is no limit, in the order in which they are to be claimed.
SELECT priority, run_at, id FROM jobsim_job INDEXED BY jobsim_job_ready
WHERE queue = ?1 AND ready = 1 AND limited = 0
ORDER BY priority DESC, run_at, id
LIMIT ?2
