-- The job that holds a unique key.
SELECT id, uuid, state, attempt, max_attempts, token FROM jobsim_job INDEXED BY jobsim_job_unique
WHERE unique_key = ?1 AND unique_key IS NOT NULL AND finished IS NULL AND replaced = 0
