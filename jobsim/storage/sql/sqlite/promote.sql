-- No change of state: marks jobs of a queue that have come due as ready, a bounded number of them.
UPDATE jobsim_job SET ready = 1
WHERE id IN (
    SELECT id FROM jobsim_job INDEXED BY jobsim_job_later
    WHERE queue = ?1 AND ready = 0 AND limited = ?2 AND run_at <= ?3
    ORDER BY run_at LIMIT ?4
)
