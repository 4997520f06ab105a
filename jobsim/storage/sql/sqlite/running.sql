-- How many attempts run in each lane.
SELECT queue, kind, limit_key, count(*) FROM jobsim_job INDEXED BY jobsim_job_limited_running
WHERE limited = 1 AND lease_until IS NOT NULL
GROUP BY queue, kind, limit_key
