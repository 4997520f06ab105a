-- Whether jobs of a queue are ready for which there is a limit.
SELECT EXISTS (SELECT 1 FROM jobsim_job INDEXED BY jobsim_job_limited_ready
               WHERE queue = ?1 AND limited = 1 AND ready = 1)
