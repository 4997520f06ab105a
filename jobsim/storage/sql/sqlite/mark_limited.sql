-- No change of state: of the jobs that are not final, marks those for which there is a limit, and no others.
UPDATE jobsim_job SET limited = NOT limited
WHERE id IN (
    SELECT id FROM jobsim_job INDEXED BY jobsim_job_ready WHERE ready = 1 AND limited = 0
    UNION ALL
    SELECT id FROM jobsim_job INDEXED BY jobsim_job_limited_ready WHERE limited = 1 AND ready = 1
    UNION ALL
    SELECT id FROM jobsim_job INDEXED BY jobsim_job_later WHERE ready = 0
    UNION ALL
    SELECT id FROM jobsim_job INDEXED BY jobsim_job_leased WHERE lease_until IS NOT NULL
)
AND limited <> (
    queue IN (SELECT name FROM jobsim_limit WHERE scope = 'queue')
    OR kind IN (SELECT name FROM jobsim_limit WHERE scope = 'kind')
)
