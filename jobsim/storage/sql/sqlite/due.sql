-- Whether jobs of a queue have come due since they were last looked at.
SELECT EXISTS (SELECT 1 FROM jobsim_job INDEXED BY jobsim_job_later
               WHERE queue = ?1 AND ready = 0 AND limited = 0 AND run_at <= ?2)
       OR EXISTS (SELECT 1 FROM jobsim_job INDEXED BY jobsim_job_later
                  WHERE queue = ?1 AND ready = 0 AND limited = 1 AND run_at <= ?2)
