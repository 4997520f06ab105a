-- As claimable.sql, of one lane.
SELECT priority, run_at, id FROM jobsim_job INDEXED BY jobsim_job_limited_ready
WHERE queue = ?1 AND kind = ?2 AND limit_key = ?3 AND limited = 1 AND ready = 1 AND run_at <= ?4
ORDER BY priority DESC, run_at, id
LIMIT ?5
