-- The queues where jobs are ready for which there is a limit.
SELECT wanted.value FROM carray(?1) AS wanted
WHERE EXISTS (SELECT 1 FROM jobsim_job INDEXED BY jobsim_job_limited_ready
              WHERE queue = wanted.value AND limited = 1 AND ready = 1)
