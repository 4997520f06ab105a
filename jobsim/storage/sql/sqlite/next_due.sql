-- When the next waiting job of each queue is due: one that is ready, and the earliest of those to come.
SELECT (SELECT run_at FROM jobsim_job INDEXED BY jobsim_job_ready
        WHERE queue = wanted.value AND ready = 1 LIMIT 1),
       (SELECT run_at FROM jobsim_job INDEXED BY jobsim_job_later
        WHERE queue = wanted.value AND ready = 0 ORDER BY run_at LIMIT 1)
FROM carray(?1) AS wanted
