-- The ready jobs of a queue for which there is no limit, in the order in which they are to be claimed. One
-- that another process, whose clock is ahead, has marked too early is left out.
SELECT priority, run_at, id FROM jobsim_job INDEXED BY jobsim_job_ready
WHERE queue = ?1 AND ready = 1 AND limited = 0 AND run_at <= ?2
ORDER BY priority DESC, run_at, id
LIMIT ?3
