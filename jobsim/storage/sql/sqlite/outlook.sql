-- How a queue stands, unless it is paused: when the first of its jobs to come is due, of those for which there is
-- no limit, and of those for which there is one; and whether some of the latter are ready.
SELECT ?1,
       (SELECT run_at FROM jobsim_job INDEXED BY jobsim_job_later
        WHERE queue = ?1 AND ready = 0 AND limited = 0 ORDER BY run_at LIMIT 1),
       (SELECT run_at FROM jobsim_job INDEXED BY jobsim_job_later
        WHERE queue = ?1 AND ready = 0 AND limited = 1 ORDER BY run_at LIMIT 1),
       EXISTS (SELECT 1 FROM jobsim_job INDEXED BY jobsim_job_limited_ready
               WHERE queue = ?1 AND limited = 1 AND ready = 1)
WHERE NOT EXISTS (SELECT 1 FROM jobsim_paused WHERE queue = ?1)
