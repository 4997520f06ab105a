-- No change of state: marks jobs of a queue that have come due as ready, a bounded number of them.
UPDATE jobsim_job SET ready = 1
WHERE id IN (
    SELECT id FROM (
        SELECT id FROM jobsim_job INDEXED BY jobsim_job_later
        WHERE queue = ?1 AND ready = 0 AND limited = 0 AND run_at <= ?2
        ORDER BY run_at LIMIT ?3
    )
    UNION ALL
    SELECT id FROM (
        SELECT id FROM jobsim_job INDEXED BY jobsim_job_later
        WHERE queue = ?1 AND ready = 0 AND limited = 1 AND run_at <= ?2
        ORDER BY run_at LIMIT ?3
    )
)
