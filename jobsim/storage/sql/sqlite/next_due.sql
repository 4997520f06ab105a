-- When the next waiting job of a queue is due, of those for which there is no limit: one that is ready, and the
-- earliest of those to come. And whether others wait there, ready or not.
SELECT (SELECT run_at FROM jobsim_job INDEXED BY jobsim_job_ready
        WHERE queue = ?1 AND ready = 1 AND limited = 0 LIMIT 1),
       (SELECT run_at FROM jobsim_job INDEXED BY jobsim_job_later
        WHERE queue = ?1 AND ready = 0 AND limited = 0 ORDER BY run_at LIMIT 1),
       EXISTS (SELECT 1 FROM jobsim_job INDEXED BY jobsim_job_limited_ready
               WHERE queue = ?1 AND limited = 1 AND ready = 1)
       OR EXISTS (SELECT 1 FROM jobsim_job INDEXED BY jobsim_job_limited_later
                  WHERE queue = ?1 AND limited = 1 AND ready = 0)
