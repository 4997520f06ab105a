-- As ready.sql, without those that another process, whose clock is ahead, has marked too early.
SELECT priority, run_at, id FROM jobsim_job INDEXED BY jobsim_job_ready
WHERE queue = ?1 AND ready = 1 AND limited = 0 AND run_at <= ?3
ORDER BY priority DESC, run_at, id
LIMIT ?2
