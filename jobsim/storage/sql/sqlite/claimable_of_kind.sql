-- As claimable.sql, of one kind, for which there is a limit, whatever their lanes.
SELECT limit_key, priority, run_at, id FROM jobsim_job INDEXED BY jobsim_job_limited_urgent
WHERE queue = ?1 AND kind = ?2 AND limited = 1 AND ready = 1 AND run_at <= ?3
ORDER BY priority DESC, run_at, id
LIMIT ?4
