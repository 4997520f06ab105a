-- What decides whether an operator's call is possible, for the jobs asked for.
SELECT uuid, id, state, attempt, max_attempts, budget, token, unique_key FROM jobsim_job
WHERE uuid IN carray(?1)
